/**
 * The entries of ZIP archives in memory, as PyTorch and NumPy write them: what an entry holds is a view of the archive's bytes. The
 * central directory at the end says where entries lie (PKWARE's APPNOTE.TXT 4.3 and 4.5.3, ZIP64 included).
 */
import { FileFault } from "./file-fault.ts"

const endSignature = 0x06054b50
const wideEndSignature = 0x06064b50
const directorySignature = 0x02014b50
const localSignature = 0x04034b50
const [endLength, locatorLength, directoryLength, localLength] = [22, 20, 46, 30]
/** The longest comment after the last record, in bytes. */
const longestComment = 65_535
const wide = 0xffff_ffff

const refuse = (reason: string, at = 0): never => {
  throw new FileFault(reason, at)
}

const cutOff = (at = 0): never => refuse("it is no whole ZIP archive", at)

/** Reads that never leave the archive. */
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

/** Where the central directory lies, and how many entries it has. */
const directoryOf = (read: Reader, length: number): readonly [at: number, entries: number] => {
  let end = length - endLength
  while (end >= 0 && end >= length - endLength - longestComment && read.u32(end) !== endSignature) end--
  if (end < 0 || read.u32(end) !== endSignature) return cutOff()
  const [entries, at] = [read.u16(end + 10), read.u32(end + 16)]
  if (at !== wide && entries !== 0xffff) return [at, entries]
  const wideEnd = read.u64(end - locatorLength + 8)
  return read.u32(wideEnd) === wideEndSignature ? [read.u64(wideEnd + 48), read.u64(wideEnd + 32)] : cutOff(wideEnd)
}

/** The sizes and the place of an entry, which stand in an extra field where they need more than 32 bits. */
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

/** A file of an archive as it lies there. */
export interface Entry {
  readonly bytes: Uint8Array
  /** How it is compressed: 0 not at all, 8 by Deflate. */
  readonly method: number
  /** Its bytes once it is unpacked. */
  readonly size: number
}

/**
 * The files of an archive by their paths.
 *
 * @throws FileFault where it is malformed
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
 * The files of an archive by their paths, none of them compressed.
 *
 * @throws FileFault where it is malformed, or an entry is compressed
 */
export const storedFiles = (bytes: Uint8Array): ReadonlyMap<string, Uint8Array> =>
  new Map(
    [...entriesOf(bytes)].map(([path, { bytes: own, method }]) =>
      method === 0 ? [path, own] : refuse("an entry of its ZIP archive is compressed"),
    ),
  )
