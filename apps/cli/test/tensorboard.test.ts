/** TensorBoard event files, read by an independent protocol-buffer reader and a bitwise checksum. */
import { expect, test } from "bun:test"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire"
import { recordOf } from "../src/tensorboard/event-file.ts"
import { encodeEvent } from "../src/tensorboard/messages.ts"
import { ended, positionOf, run, start, temporaryDirectory } from "./support.ts"

/** Masked CRC-32C, computed bit by bit. */
const masked = (bytes: Uint8Array) => {
  let crc = 0xffffffff
  for (const byte of bytes)
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc ^ (byte >>> bit)) & 1 ? 0x82f63b78 : 0)
  crc = ~crc >>> 0
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0
}

/** The events of a file, with checksums verified; a truncated last record is ignored. */
const recordsOf = (bytes: Uint8Array) => {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const found: Array<Uint8Array> = []
  for (let at = 0; at + 12 <= bytes.length; ) {
    const length = Number(data.getBigUint64(at, true))
    if (at + 16 + length > bytes.length) break
    expect(data.getUint32(at + 8, true)).toBe(masked(bytes.subarray(at, at + 8)))
    const event = bytes.subarray(at + 12, at + 12 + length)
    expect(data.getUint32(at + 12 + length, true)).toBe(masked(event))
    found.push(event)
    at += 16 + length
  }
  return found
}

type Fields = ReadonlyMap<number, ReadonlyArray<number | Uint8Array>>

/** The fields of a message by field number. */
const fieldsOf = (bytes: Uint8Array): Fields => {
  const reader = new BinaryReader(bytes)
  const fields = new Map<number, Array<number | Uint8Array>>()
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag()
    const value =
      type === WireType.Varint
        ? Number(reader.uint64())
        : type === WireType.Bit64
          ? reader.double()
          : type === WireType.Bit32
            ? reader.float()
            : reader.bytes()
    fields.set(number, [...(fields.get(number) ?? []), value])
  }
  return fields
}

const one = (fields: Fields, number: number) => fields.get(number)?.[0]
const message = (fields: Fields, number: number) => fieldsOf(one(fields, number) as Uint8Array)
const text = (bytes: unknown) => new TextDecoder().decode(bytes as Uint8Array)
const doubles = (bytes: unknown) => [...new Float64Array((bytes as Uint8Array).slice().buffer)]

/** The step of an event and its values by tag. */
const eventOf = (bytes: Uint8Array) => {
  const fields = fieldsOf(bytes)
  const values = fields.has(5) ? (message(fields, 5).get(1) ?? []).map((value) => fieldsOf(value as Uint8Array)) : []
  return {
    ...{ seconds: one(fields, 1) as number, step: one(fields, 2) as number, fields },
    values: new Map(values.map((value) => [text(one(value, 1)), value])),
  }
}

const eventsIn = (file: string) => recordsOf(readFileSync(file)).map(eventOf)

test("a record has valid checksums, and messages of every kind are encoded correctly", () => {
  // The standard check value of CRC-32C.
  expect(masked(new TextEncoder().encode("123456789"))).toBe(
    (((0xe3069283 >>> 15) | (0xe3069283 << 17)) + 0xa282ead8) >>> 0,
  )
  const png = Uint8Array.from([...new Array(16).fill(0), 0, 0, 1, 44, 0, 0, 0, 7])
  const values = [
    { tag: "loss", scalar: 0.25 },
    { tag: "weights", histogram: [-1, 0, 0, 2] },
    { tag: "still", histogram: [3, 3] },
    { tag: "raster", png },
  ]
  const [event] = recordsOf(recordOf(encodeEvent(12.5, 300, { values }))).map(eventOf)
  expect([event?.seconds, event?.step]).toEqual([12.5, 300])
  expect([...(event?.values.keys() ?? [])]).toEqual(["loss", "weights", "still", "raster"])
  expect(one(event?.values.get("loss") as Fields, 2)).toBe(0.25)
  const histogram = message(event?.values.get("weights") as Fields, 5)
  expect([1, 2, 3, 4, 5].map((field) => one(histogram, field))).toEqual([-1, 2, 4, 1, 5])
  const [limits, counts] = [doubles(one(histogram, 6)), doubles(one(histogram, 7))]
  expect(limits.at(-1)).toBe(2)
  // Zero is a third of the way from -1 to 2.
  expect(counts.flatMap((count, i) => (count > 0 ? [[i, count]] : []))).toEqual([
    [0, 1],
    [10, 2],
    [29, 1],
  ])
  expect(doubles(one(message(event?.values.get("still") as Fields, 5), 7)).at(-1)).toBe(2)
  const image = message(event?.values.get("raster") as Fields, 4)
  expect([one(image, 1), one(image, 2)]).toEqual([7, 300])
  expect(one(image, 4)).toEqual(png)
})

test("a killed run loses at most the last record; a resumed run creates a new file", async () => {
  const path = join(temporaryDirectory(), "run")
  const args = "--backend reference --width 0.1 --limit 24 --batch-size 8 --time-steps 2 --tensorboard".split(" ")
  const child = start("train", ...args, "--epochs", "1000", "--out", path)
  const lines = () => {
    const metrics = join(path, "metrics.jsonl")
    return existsSync(metrics) ? readFileSync(metrics, "utf8").split("\n").length - 1 : 0
  }
  while (lines() < 6 && child.exitCode === null) await Bun.sleep(5)
  child.kill("SIGKILL")
  await ended(child)
  const directory = join(path, "tensorboard")
  const files = () =>
    readdirSync(directory)
      .toSorted()
      .map((name) => join(directory, name))
  const [first = ""] = files()
  const [version, started, ...events] = eventsIn(first)
  expect(text(one(version?.fields as Fields, 3))).toBe("brain.Event:2")
  expect([started?.step, one(message(started?.fields as Fields, 7), 1)]).toEqual([1, 1])
  expect(events.length).toBeGreaterThanOrEqual(lines() - 1)
  expect(events.slice(0, 5).map(({ step }) => step)).toEqual([1, 2, 3, 3, 4])
  expect([...(events[0]?.values.keys() ?? [])]).toEqual([
    ...["batch/learningRate", "batch/loss", "batch/top1", "batch/top5"],
    ...["batch/firing rate/1", "batch/firing rate/4"],
  ])
  const tags = [...(events[3]?.values.keys() ?? [])]
  for (const tag of [
    "train/loss",
    "test/top1",
    "test/firing rate/1",
    "weights/0.weight",
    "firing rates/1",
    "states/1.membrane",
    "raster",
  ])
    expect(tags).toContain(tag)

  const { epoch, update } = positionOf(path)
  expect((await run("train", "--resume", path, "--epochs", String(epoch + 1))).code).toBe(0)
  expect(files().length).toBe(2)
  const [, resumed, next] = eventsIn(files()[1] as string)
  expect([resumed?.step, next?.step]).toEqual([update + 1, update + 1])
}, 60_000)
