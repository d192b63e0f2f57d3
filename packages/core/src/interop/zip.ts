/**
 * Reads ZIP archives in memory, as written by PyTorch and NumPy; the contents of entries are views of the archive's bytes. Entries
 * are found through the central directory at the end (PKWARE's APPNOTE.TXT 4.3 and 4.5.3, including ZIP64).
 */
import { FileFault } from "./file-fault.ts"

const endSignature = 0x06054b50
const wideEndSignature = 0x06064b50
const directorySignature = 0x02014b50
const localSignature = 0x04034b50
const [endLength, locatorLength, directoryLength, localLength] = [22, 20, 46, 30]
/** The longest comment after the end record, in bytes. */
const longestComment = 65_535
const wide = 0xffff_ffff

const refuse = (reason: string, at = 0): never => {
  throw new FileFault(reason, at)
}

const cutOff = (at = 0): never => refuse("the ZIP archive is incomplete", at)

/** Bounds-checked reads. */
const reader = (bytes: Uint8Array) => {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const inside = (at: number, length: number) => (at >= 0 && at + length <= bytes.length ? at : cutOff(at))
  return {
    u16: (at: number) => data.getUint16(inside(at, 2), true),
    u32: (at: number) => data.getUint32(inside(at, 4), true),
    u64: (at: number) => Number(data.getBigUint64(inside(at, 8), true)),
    bytes: (at: number, length: number) => bytes.subarray(inside(at, length), at + length),
  }
}

type Reader = ReturnType<typeof reader>

/** Offset of the central directory, and number of entries. */
const directoryOf = (read: Reader, length: number): readonly [at: number, entries: number] => {
  let end = length - endLength
  while (end >= 0 && end >= length - endLength - longestComment && read.u32(end) !== endSignature) end--
  if (end < 0 || read.u32(end) !== endSignature) return cutOff()
  const [entries, at] = [read.u16(end + 10), read.u32(end + 16)]
  if (at !== wide && entries !== 0xffff) return [at, entries]
  const wideEnd = read.u64(end - locatorLength + 8)
  return read.u32(wideEnd) === wideEndSignature ? [read.u64(wideEnd + 48), read.u64(wideEnd + 32)] : cutOff(wideEnd)
}

/** The sizes and offset of an entry; they are in an extra field if they need more than 32 bits. */
const widened = (read: Reader, at: number): readonly [packed: number, plain: number, place: number] => {
  const fields = { plain: read.u32(at + 24), packed: read.u32(at + 20), place: read.u32(at + 42) }
  let extra = at + directoryLength + read.u16(at + 28)
  const end = extra + read.u16(at + 30)
  while (extra + 4 <= end && read.u16(extra) !== 1) extra += 4 + read.u16(extra + 2)
  extra += 4
  for (const name of ["plain", "packed", "place"] as const)
    if (fields[name] === wide && extra + 8 <= end) {
      fields[name] = read.u64(extra)
      extra += 8
    }
  return [fields.packed, fields.plain, fields.place]
}

/** An entry of an archive. */
export interface Entry {
  readonly bytes: Uint8Array
  /** Compression method: 0 for none, 8 for Deflate. */
  readonly method: number
  /** Uncompressed size in bytes. */
  readonly size: number
}

/**
 * The entries of an archive, by path.
 *
 * @throws FileFault if it is malformed
 */
export const entriesOf = (bytes: Uint8Array): ReadonlyMap<string, Entry> => {
  const read = reader(bytes)
  const files = new Map<string, Entry>()
  let [at, left] = directoryOf(read, bytes.length)
  for (; left > 0; left--) {
    if (read.u32(at) !== directorySignature) return cutOff(at)
    const path = new TextDecoder().decode(read.bytes(at + directoryLength, read.u16(at + 28)))
    const [packed, size, place] = widened(read, at)
    const method = read.u16(at + 10)
    if (method === 0 && packed !== size) return cutOff(at)
    if (read.u32(place) !== localSignature) return cutOff(place)
    const from = place + localLength + read.u16(place + 26) + read.u16(place + 28)
    files.set(path, { bytes: read.bytes(from, packed), method, size })
    at += directoryLength + read.u16(at + 28) + read.u16(at + 30) + read.u16(at + 32)
  }
  return files
}

/**
 * The contents of the entries of an archive without compression, by path.
 *
 * @throws FileFault if it is malformed, or an entry is compressed
 */
export const storedFiles = (bytes: Uint8Array): ReadonlyMap<string, Uint8Array> =>
  new Map(
    [...entriesOf(bytes)].map(([path, { bytes: own, method }]) =>
      method === 0 ? [path, own] : refuse("an entry of its ZIP archive is compressed"),
    ),
  )
