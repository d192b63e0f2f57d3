/** Class folders of event-camera recordings in every format, written byte by byte. */
import { describe, expect, test } from "bun:test"
import { join } from "node:path"
import { type Dataset, type OpenOptions, open } from "../src/index.ts"
import {
  columnFiles as columns,
  recordedEvents as events,
  failure,
  hdf5,
  namedColumns,
  nmnistEvent,
  npy,
  prophesee,
  realData,
  recordings,
  run,
  withDirectory,
  zip,
} from "./support.ts"

/** The frames of the first sample of a part. */
const frames = async ({ shape, ...dataset }: Dataset, part: "train" | "test", timeSteps: number) => {
  const out = new Float32Array(timeSteps * shape.reduce((a, b) => a * b, 1))
  await run(dataset[part].write([0], undefined, out))
  const found: Array<Array<number>> = []
  for (let i = 0; i < out.length; i++) if (out[i] !== 0) found.push([i, out[i] as number])
  return found
}

/** Index of pixel (x, y) and polarity p at a time step, by default for a sensor of 240 × 180. */
const place = (step: number, x: number, y: number, p: number, width = 240, height = 180) =>
  ((step * height + y) * width + x) * 2 + p

const folder = (file: string, content: Uint8Array) =>
  Object.fromEntries(["train/b", "train/a", "test/a"].map((each) => [`${each}/${file}`, content]))

const opened = (
  files: Readonly<Record<string, Uint8Array>>,
  options: Partial<OpenOptions>,
  use: (dataset: Dataset) => Promise<void>,
) =>
  withDirectory(files, async (dataDir) => {
    await use(await run(open("events-folder", { timeSteps: 3, dataDir, ...options })))
  })

describe("formats", () => {
  for (const [file, content] of Object.entries(recordings))
    test(file, () => {
      const sensor = file === "dvs128.aedat" ? [128, 128] : file.startsWith("davis") ? undefined : [240, 180]
      return opened(folder(file, content), { sensor, columns: ["x", "y", "t", "p"] }, async (dataset) => {
        const [width, height] = sensor ?? [240, 180]
        expect(dataset).toMatchObject({ shape: [height, width, 2], classNames: ["a", "b"], encoding: "frames" })
        expect([dataset.train.size, dataset.train.label(1), dataset.test.size]).toEqual([2, 1, 1])
        const expected = events.map(([x, y, , p], step) => [place(step, x, y, p, width, height), 1])
        expect(await frames(dataset, "train", 3)).toEqual(expected)
      })
    })

  test("events are sorted by time; a column of floating-point times is in seconds", () => {
    const seconds = npy([...namedColumns.slice(1), ["t", "<f8"]], [2], [5, 6, 1, 0.5, 7, 8, 0, 0.25])
    return opened(folder("f.npy", seconds), { sensor: [240, 180], timeSteps: 2 }, async (dataset) =>
      expect(await frames(dataset, "test", 2)).toEqual([
        [place(0, 7, 8, 0), 1],
        [place(1, 5, 6, 1), 1],
      ]),
    )
  })

  test("N-MNIST's events at y = 240 add 2¹³ µs to all later times", () => {
    const file = Uint8Array.from([
      ...nmnistEvent(1, 1, 1, 8000),
      ...nmnistEvent(0, 240, 0, 8191),
      ...nmnistEvent(2, 2, 1, 10),
    ])
    return opened(folder("f.bin", file), { sensor: [240, 180], timeSteps: 2 }, async (dataset) =>
      expect(await frames(dataset, "train", 2)).toEqual([
        [place(0, 1, 1, 1), 1],
        [place(1, 2, 2, 1), 1],
      ]),
    )
  })

  test("the header defines the sensor size; frames are resized", () =>
    opened(
      folder("f.dat", prophesee("% Version 2\n% Width 4\n% Height 4\n", events)),
      { size: 2, timeSteps: 1 },
      async (dataset) => {
        expect(dataset.shape).toEqual([2, 2, 2])
        const out = new Float32Array(8)
        await run(dataset.test.write([0], undefined, out))
        // ON event (1, 2), twice, in the lower left of four pixels after `resize`.
        expect(out[5]).toBeGreaterThan(out[1] as number)
      },
    ))
})

test("class folders without a split: a fraction is drawn for testing", () => {
  const files = Object.fromEntries(
    ["a", "b"].flatMap((each) =>
      [0, 1, 2, 3, 4].map((i) => [`${each}/${i}.npz`, recordings["columns.npz"] as Uint8Array]),
    ),
  )
  return opened(files, { sensor: [240, 180] }, async (dataset) => {
    expect([dataset.train.size, dataset.test.size]).toEqual([8, 2])
    expect(dataset.classNames).toEqual(["a", "b"])
  })
})

describe("refused in one line", () => {
  const refused = async (file: string, content: Uint8Array, options: Partial<OpenOptions> = { sensor: [240, 180] }) => {
    let found = { tag: "", message: "" }
    await withDirectory(folder(file, content), async (dataDir) => {
      try {
        const dataset = await run(open("events-folder", { timeSteps: 3, dataDir, ...options }))
        await frames(dataset, "train", 3)
      } catch (error) {
        const { _tag, message } = error as { _tag: string; message: string }
        found = { tag: _tag, message: message.replaceAll(`${dataDir}/`, "") }
      }
    })
    expect(found.message).not.toContain("\n")
    return found
  }
  const malformed = (text: string) => ({ tag: "MalformedFile", message: expect.stringContaining(text) })

  test("an unknown sensor size: the extent of the events is stated", async () => {
    const { tag, message } = await refused("f.npy", recordings["structured.npy"] as Uint8Array, {})
    expect(tag).toBe("OptionError")
    expect(message).toContain("4x3")
  })

  test("columns without names, of unequal lengths, outside the sensor, not finite, with invalid polarities", async () => {
    const row = (...values: ReadonlyArray<number>) => npy("<f8", [1, 4], values)
    const rows = (content: Uint8Array) => refused("f.npy", content, { sensor: [4, 4], columns: ["x", "y", "t", "p"] })
    expect(await refused("f.npy", row(1, 1, 1, 1))).toEqual(malformed("name its columns"))
    expect(await rows(row(4, 0, 0, 0))).toEqual(malformed("outside the 4×4 sensor"))
    expect(await rows(row(0.5, 0, 0, 0))).toEqual(malformed("outside"))
    expect(await rows(row(0, 0, Number.NaN, 0))).toEqual(malformed("has the time NaN"))
    expect(await rows(row(0, 0, 0, 2))).toEqual(malformed("polarity 2"))
    expect(await rows(npy("<f8", [1, 3], [1, 2, 3]))).toEqual(malformed("4 columns are named"))
    expect(await refused("f.npz", zip({ ...columns, "t.npy": npy("<i8", [1], [1]) }))).toEqual(malformed("values"))
    expect(await refused("f.npz", zip({ "x.npy": columns["x.npy"] }))).toEqual(malformed("columns of the names"))
    expect(await refused("f.h5", hdf5({ x: { type: "u16", values: [1] } }))).toEqual(malformed("columns of events"))
  })

  test("files that are truncated or from another camera", async () => {
    for (const file of ["ncars.dat", "nmnist.bin", "aedat31.aedat", "davis.aedat", "columns.npz"])
      expect(await refused(file, (recordings[file] as Uint8Array).subarray(0, -3))).toMatchObject({
        tag: "MalformedFile",
      })
    expect(await refused("f.dat", recordings["nmnist.bin"] as Uint8Array)).toEqual(malformed("it begins"))
    expect(await refused("davis.aedat", recordings["davis.aedat"] as Uint8Array, { sensor: [346, 260] })).toEqual(
      malformed("240×180"),
    )
  })
})

const real = realData("real/events")

test.skipIf(real === undefined)("a real HDF5 file: seconds as floats, polarities as booleans", () =>
  withDirectory({}, async (dataDir) => {
    const { copyFileSync, mkdirSync } = await import("node:fs")
    for (const each of ["train/a", "test/a"]) {
      mkdirSync(join(dataDir, each), { recursive: true })
      copyFileSync(join(real as string, "event.hdf5"), join(dataDir, each, "event.hdf5"))
    }
    const dataset = await run(open("events-folder", { timeSteps: 17, dataDir, sensor: [346, 260] }))
    const found = await frames(dataset, "train", 17)
    expect(found.length).toBe(17)
    expect(found[0]).toEqual([place(0, 134, 30, 0, 346, 260), 1])
  }),
)

test("tonic's copy of DVS-Gesture: milliseconds, columns x, y, p, t, one file per class", () => {
  const recording = npy(
    "<f8",
    [3, 4],
    events.flatMap(([x, y, t, p]) => [x, y, p, t]),
  )
  const files = {
    "ibmGestureTrain/user01_led/10.npy": recording,
    "ibmGestureTrain/user01_led/0.npy": recording,
    "ibmGestureTest/user24_lab/3.npy": recording,
  }
  return withDirectory(files, async (dataDir) => {
    const dataset = await run(open("dvs-gesture", { timeSteps: 3, dataDir }))
    expect([dataset.train.size, dataset.train.label(0), dataset.train.label(1), dataset.test.label(0)]).toEqual([
      2, 0, 10, 3,
    ])
    expect(await frames(dataset, "test", 3)).toEqual(
      events.map(([x, y, , p], step) => [place(step, x, y, p, 128, 128), 1]),
    )
  })
})

test("SSC is read like SHD, with its 35 classes", () => {
  const file = hdf5({
    "spikes/times": { type: "f16", values: [[0x3400], [0x3800]] },
    "spikes/units": { type: "u16", values: [[699], [1]] },
    labels: { type: "u16", values: [34, 20] },
  })
  return withDirectory({ "ssc_train.h5": file, "ssc_test.h5": file }, async (dataDir) => {
    const { classes, train } = await run(open("ssc", { timeSteps: 7, dataDir }))
    expect([classes, train.label(0), train.label(1)]).toEqual([35, 34, 20])
    expect((await failure(open("shd", { timeSteps: 7, dataDir })))._tag).toBe("MissingFile")
  })
})
