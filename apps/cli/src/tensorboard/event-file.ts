/**
 * TensorBoard event files: a sequence of events, each a record in TensorFlow's TFRecord format. A record consists of the event's length
 * (8 bytes, little-endian), the length's checksum, the event, and the event's checksum; a checksum is a masked CRC-32C (4 bytes).
 *
 * Each record is a single write: if the process is killed, at most the record being written is lost.
 */
import { hostname } from "node:os"
import { Clock, Effect, FileSystem, Path } from "effect"
import { refused } from "../files.ts"
import { encodeEvent, type Value, type What } from "./messages.ts"

/** CRC-32C (Castagnoli) of each byte: polynomial 0x1edc6f41, bit-reversed. */
const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  return crc
})

/** The masked checksum of bytes: rotated by 15 bits plus a constant, as TFRecord requires. */
const maskedCrc = (bytes: Uint8Array): number => {
  let crc = 0xffffffff
  for (const byte of bytes) crc = (table[(crc ^ byte) & 255] as number) ^ (crc >>> 8)
  crc = ~crc >>> 0
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0
}

/** Encodes a record. */
export const recordOf = (event: Uint8Array): Uint8Array => {
  const record = new Uint8Array(event.length + 16)
  const view = new DataView(record.buffer)
  view.setBigUint64(0, BigInt(event.length), true)
  view.setUint32(8, maskedCrc(record.subarray(0, 8)), true)
  record.set(event, 12)
  view.setUint32(12 + event.length, maskedCrc(event), true)
  return record
}

const namePattern = /^events\.out\.tfevents\.(\d+)\./

/** Creates a new event file whose name sorts after the existing ones; `step` is the step of its first event. */
export const openEventFile = (directory: string, step: number) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const clock = yield* Clock.Clock
    const now = () => clock.currentTimeMillisUnsafe() / 1000
    yield* fs.makeDirectory(directory, { recursive: true }).pipe(Effect.mapError(refused(directory, "written")))
    const names = yield* fs.readDirectory(directory).pipe(Effect.mapError(refused(directory, "read")))
    const last = names.reduce((most, name) => Math.max(most, Number(namePattern.exec(name)?.[1] ?? 0)), 0)
    const stamp = String(Math.max(Math.floor(now()), last + 1)).padStart(10, "0")
    const file = path.join(directory, `events.out.tfevents.${stamp}.${hostname()}.${process.pid}.0`)
    const failed = Effect.mapError(refused(file, "written"))
    const handle = yield* failed(fs.open(file, { flag: "ax" }))
    const write = (at: number, what: What) => failed(handle.writeAll(recordOf(encodeEvent(now(), at, what))))
    yield* write(0, { version: "brain.Event:2" })
    // Makes TensorBoard discard events of earlier processes from this step on.
    yield* write(step, { start: true })
    return { add: (at: number, values: ReadonlyArray<Value>) => write(at, { values }) }
  })
