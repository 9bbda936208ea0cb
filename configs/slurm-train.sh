#!/bin/bash
# sbatch configs/slurm-train.sh CONFIG [SECTION.KEY=VALUE ...]: `ibsd train` on every node of the job, one process a GPU (or PROCESSES a node). Submit it again to go on.
#SBATCH --job-name=ibsd
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --signal=TERM@120
set -eu
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export first port=${PORT:-29500} processes=${PROCESSES:-${SLURM_GPUS_ON_NODE:-1}}
exec srun bash -c 'exec torchrun --nnodes "$SLURM_JOB_NUM_NODES" --node-rank "$SLURM_NODEID" --nproc-per-node "$processes" \
  --master-addr "$first" --master-port "$port" -m ibsd train "$@" --resume' ibsd "$@"
