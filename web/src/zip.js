// Several results as one zip archive: stored, because PNG is compressed already. The parts stay blobs, which
// the browser may keep on the disk; they are read once, a piece at a time.

import { crc32 } from "./png.js";

const MOST = 2 ** 32 - 1; // bytes, without zip64

// `files`: [[name, blob], ...]. A second file of a name gets a number.
export async function zip(files) {
  const parts = [], entries = [], taken = new Set();
  let offset = 0;
  for (const [name, blob] of files) {
    const bytes = new TextEncoder().encode(unique(name, taken)), crc = await checksum(blob);
    const header = record(0x04034b50, crc, blob.size, bytes);
    entries.push(record(0x02014b50, crc, blob.size, bytes, offset));
    parts.push(header, blob);
    offset += header.length + blob.size;
    if (offset > MOST) throw new Error("the results are too large for one archive: download them one by one");
  }
  const size = entries.reduce((sum, entry) => sum + entry.length, 0), end = new DataView(new ArrayBuffer(22));
  end.setUint32(0, 0x06054b50, true);
  end.setUint16(8, entries.length, true);
  end.setUint16(10, entries.length, true);
  end.setUint32(12, size, true);
  end.setUint32(16, offset, true);
  return new Blob([...parts, ...entries, end], { type: "application/zip" });
}

function unique(name, taken) {
  let free = name;
  for (let number = 2; taken.has(free); number++) free = name.replace(/(\.[^.]*)?$/, `-${number}$1`);
  taken.add(free);
  return free;
}

async function checksum(blob) {
  const reader = blob.stream().getReader();
  for (let crc = 0; ; ) {
    const { done, value } = await reader.read();
    if (done) return crc;
    crc = crc32(value, crc);
  }
}

// A file's header, or its entry in the list at the end if `offset` is given. PKWARE's APPNOTE 6.3.10, 4.3.7 and 4.3.12.
function record(signature, crc, size, name, offset) {
  const central = offset !== undefined, length = central ? 46 : 30, bytes = new Uint8Array(length + name.length), view = new DataView(bytes.buffer);
  view.setUint32(0, signature, true);
  const rest = new DataView(bytes.buffer, central ? 6 : 4);
  rest.setUint16(0, 20, true); // version 2.0
  rest.setUint16(2, 0x800, true); // the name is UTF-8
  rest.setUint16(8, 0x21, true); // 1 January 1980
  rest.setUint32(10, crc, true);
  rest.setUint32(14, size, true);
  rest.setUint32(18, size, true);
  rest.setUint16(22, name.length, true);
  if (central) {
    view.setUint16(4, 20, true);
    view.setUint32(42, offset, true);
  }
  bytes.set(name, length);
  return bytes;
}
