/** etcd's range of all keys with a prefix: from the prefix to the prefix with its last byte raised by one. */
export function prefixRange(prefix: string): { key: Buffer; range_end: Buffer } {
  const key = Buffer.from(prefix);
  const end = Buffer.from(key);
  for (let index = end.length - 1; index >= 0; index -= 1) {
    const byte = end[index] ?? 0;
    if (byte < 0xff) {
      end[index] = byte + 1;
      return { key, range_end: end.subarray(0, index + 1) };
    }
  }
  // Nothing to raise (an empty prefix): etcd reads "\0" as "to the end".
  return { key: key.length === 0 ? Buffer.of(0) : key, range_end: Buffer.of(0) };
}
