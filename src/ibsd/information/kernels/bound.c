/* CLUB's pairwise mean with its gradients, all N^2 pairs, in one pass over memory. Called by compiled.py; equations in club.py.

   Positions (one channel of one pixel) do not interact, so a tile of them is copied into a core's cache with all N values of each, and every
   vector below holds one sample's values at LANES neighbouring positions. A tile's results depend on nothing but its own positions: the split of
   the tiles among threads changes no bit. */

#include <stddef.h>
#include <string.h>

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif
#define TILE 128 /* positions; compiled.py knows it too */
#define ROWS 4   /* samples of mu kept in registers while all samples of f pass by */

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4)));
typedef int mask __attribute__((vector_size(4 * LANES)));

static inline vec load(const float *p) { return *(const vec *)p; }
static inline void store(float *p, vec v) { *(vec *)p = v; }

static inline vec sign(vec d) { /* 1.0 with d's sign bit, all bits away where d is 0 */
    const vec zero = {0};
    return (vec)((((mask)d & (mask)(-zero)) | (mask)(zero + 1.0f)) & (d != zero));
}

/* f, mu, b, g_f, g_mu, g_b: [n, positions]; values: one sum of gains a tile; scratch: 4 * TILE * (n rounded up to ROWS) floats.
   Works on tiles first to last - 1. `scale` multiplies the gradients, not the values. */
void bound_tiles(const float *f, const float *mu, const float *b, float *g_f, float *g_mu, float *g_b, double *values, float *scratch,
                 ptrdiff_t n, ptrdiff_t positions, ptrdiff_t first, ptrdiff_t last, float scale) {
    const ptrdiff_t rows = (n + ROWS - 1) / ROWS * ROWS;
    const float inverse = 1.0f / (float)n;
    float *const F = scratch, *const MU = F + rows * TILE, *const P = MU + rows * TILE, *const G = P + rows * TILE;
    for (ptrdiff_t tile = first; tile < last; tile++) {
        const ptrdiff_t start = tile * TILE, width = positions - start < TILE ? positions - start : TILE;
        if (width < TILE || n < rows) /* samples and positions beyond the last have precision 0 and add nothing */
            memset(scratch, 0, 4 * rows * TILE * sizeof(float));
        memset(G, 0, rows * TILE * sizeof(float));
        for (ptrdiff_t i = 0; i < n; i++) {
            const ptrdiff_t from = i * positions + start, to = i * TILE;
            memcpy(F + to, f + from, width * sizeof(float));
            memcpy(MU + to, mu + from, width * sizeof(float));
            for (ptrdiff_t k = 0; k < width; k++) P[to + k] = 1.0f / b[from + k];
        }
        vec total = {0};
        for (ptrdiff_t i = 0; i < rows; i += ROWS)
            for (ptrdiff_t k = 0; k < TILE; k += LANES) {
                vec m[ROWS], p[ROWS], distance[ROWS], signs[ROWS];
                for (int r = 0; r < ROWS; r++) {
                    m[r] = load(MU + (i + r) * TILE + k);
                    p[r] = load(P + (i + r) * TILE + k);
                    distance[r] = signs[r] = (vec){0};
                }
                for (ptrdiff_t j = 0; j < n; j++) {
                    const vec other = load(F + j * TILE + k);
                    vec pull = load(G + j * TILE + k); /* sum over mu's samples of sign / b */
                    for (int r = 0; r < ROWS; r++) {
                        const vec d = m[r] - other, s = sign(d);
                        distance[r] += s * d;
                        signs[r] += s;
                        pull += s * p[r];
                    }
                    store(G + j * TILE + k, pull);
                }
                for (int r = 0; r < ROWS; r++) {
                    const ptrdiff_t at = (i + r) * TILE + k;
                    const vec d = m[r] - load(F + at), s = sign(d);
                    const vec gain = (distance[r] * inverse - s * d) * p[r];
                    total += gain;
                    store(G + at, load(G + at) - (float)n * s * p[r]);
                    store(MU + at, (signs[r] * inverse - s) * p[r] * scale);
                    store(P + at, gain * p[r] * -scale);
                }
            }
        /* One array after the other: three written at once, sample by sample, took longer than everything else here. */
        for (ptrdiff_t i = 0; i < n; i++)
            for (ptrdiff_t k = 0; k < width; k++) g_f[i * positions + start + k] = G[i * TILE + k] * (-inverse * scale);
        for (ptrdiff_t i = 0; i < n; i++) memcpy(g_mu + i * positions + start, MU + i * TILE, width * sizeof(float));
        for (ptrdiff_t i = 0; i < n; i++) memcpy(g_b + i * positions + start, P + i * TILE, width * sizeof(float));
        values[tile] = 0.0;
        for (int lane = 0; lane < LANES; lane++) values[tile] += total[lane];
    }
}
