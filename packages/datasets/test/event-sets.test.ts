import { describe, expect, test } from "bun:test"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import * as Key from "@spikeroute/core/random"
import { Effect } from "effect"
import { type AugmentationName, type Dataset, open } from "../src/index.ts"
import {
  aedat2,
  aedat3Header,
  aedat3Packet,
  cachedIn,
  failure,
  nmnistEvent,
  online,
  run,
  withDirectory,
  zip,
} from "./support.ts"

const labels = ({ size, label }: Dataset["train"]) => Array.from({ length: size }, (_, i) => label(i))

const write = async (
  { shape, train }: Dataset,
  samples: ReadonlyArray<number>,
  timeSteps: number,
  keys?: ReadonlyArray<Key.Key>,
) => {
  const out = new Float32Array(timeSteps * samples.length * shape.reduce((a, b) => a * b, 1))
  await run(train.write(samples, keys, out))
  return out
}

/** Positions and values of the nonzero elements of frames [T, N, side, side, 2]. */
const entries = (out: Float32Array, side: number, samples: number) =>
  Array.from(out.keys())
    .filter((i) => out[i] !== 0)
    .map((i) => {
      const pixel = Math.floor(i / 2)
      const frame = Math.floor(pixel / side / side)
      return {
        step: Math.floor(frame / samples),
        sample: frame % samples,
        x: pixel % side,
        y: Math.floor(pixel / side) % side,
        p: i % 2,
        count: out[i],
      }
    })

describe("dvs-gesture", () => {
  const at = (time: number, x: number, on = 1) => ({ x, y: 7, on, time })
  const recording = Uint8Array.from([
    ...aedat3Header,
    ...aedat3Packet([at(90, 1), at(100, 2), at(101, 2)]),
    ...aedat3Packet([at(150, 3, 0), at(199, 4), at(200, 5), at(300, 127)]),
  ])
  const csv = (...lines: ReadonlyArray<string>) => ["class,startTime_usec,endTime_usec", ...lines, ""].join("\n")
  const files = {
    "trials_to_train.txt": "user01_led.aedat\nuser02_lab.aedat\n",
    "trials_to_test.txt": "user24_led.aedat\r\n",
    "user01_led.aedat": recording,
    "user01_led_labels.csv": csv("3,100,200", "11,200,301"),
    "user02_lab.aedat": recording,
    "user02_lab_labels.csv": csv("1,90,151"),
    "user24_led.aedat": recording,
    "user24_led_labels.csv": csv("2,0,1000"),
  }

  test("cuts the listed files at their labels, and counts the events of each frame", async () => {
    for (const folder of ["", "dvs-gesture/DvsGesture/"]) {
      const placed = Object.fromEntries(Object.entries(files).map(([name, content]) => [folder + name, content]))
      await withDirectory(placed, async (dataDir) => {
        const dataset = await run(open("dvs-gesture", { timeSteps: 2, dataDir }))
        expect(dataset.shape).toEqual([128, 128, 2])
        expect([labels(dataset.train), labels(dataset.test)]).toEqual([[2, 10, 0], [1]])
        const out = await write(dataset, [0, 1], 2)
        expect(entries(out, 128, 2)).toEqual([
          { step: 0, sample: 0, x: 2, y: 7, p: 1, count: 2 },
          { step: 0, sample: 1, x: 5, y: 7, p: 1, count: 1 },
          { step: 1, sample: 0, x: 3, y: 7, p: 0, count: 1 },
          { step: 1, sample: 0, x: 4, y: 7, p: 1, count: 1 },
          { step: 1, sample: 1, x: 127, y: 7, p: 1, count: 1 },
        ])
        const small = await run(open("dvs-gesture", { timeSteps: 2, dataDir, size: 64 }))
        expect(small.shape).toEqual([64, 64, 2])
        // Half the side has a quarter of the pixels: the mean is preserved, except near the edge.
        const halved = await write(small, [0], 2)
        expect(halved.reduce((sum, value) => sum + value, 0)).toBeCloseTo(4 / 4, 1)
      })
    }
  })

  test("all frames of a sample are augmented alike, depending only on the sample's key", async () => {
    await withDirectory(files, async (dataDir) => {
      const plain = await run(open("dvs-gesture", { timeSteps: 2, dataDir }))
      const flipped = await run(open("dvs-gesture", { timeSteps: 2, dataDir, augment: ["flip"] }))
      const keys = Array.from({ length: 16 }, (_, i) => Key.make(i))
      const columns = async (dataset: Dataset, key: Key.Key | undefined) =>
        entries(await write(dataset, [0], 2, key && [key]), 128, 1).map(({ x }) => x)
      const seen: Array<Array<number>> = []
      for (const key of keys) seen.push(await columns(flipped, key))
      expect(new Set(seen.map(String))).toEqual(new Set(["2,3,4", "125,123,124"]))
      expect(await columns(flipped, undefined)).toEqual([2, 3, 4])
      expect(await columns(plain, keys[0])).toEqual([2, 3, 4])
      // At any position in a batch, equal to the sample on its own.
      const both = await write(flipped, [2, 0], 2, [Key.make(77), keys[3] as Key.Key])
      expect(
        entries(both, 128, 2)
          .filter(({ sample }) => sample === 1)
          .map(({ x }) => x),
      ).toEqual(seen[3] ?? [])
    })
  })

  test("missing or malformed files are named in one line", async () => {
    const refused = async (changes: Record<string, Uint8Array | string | undefined>) => {
      let message = ""
      const all = Object.entries({ ...files, ...changes }).filter(
        (entry): entry is [string, string] => entry[1] !== undefined,
      )
      await withDirectory(Object.fromEntries(all), async (dataDir) => {
        const opened = open("dvs-gesture", { timeSteps: 1, dataDir })
        const error = await failure(
          Effect.flatMap(opened, ({ train }) =>
            train.write(
              Array.from({ length: train.size }, (_, i) => i),
              undefined,
              new Float32Array(train.size * 32768),
            ),
          ),
        )
        message = error.message.replaceAll(dataDir, "…")
      })
      expect(message).not.toContain("\n")
      return message
    }
    expect(await refused({ "trials_to_train.txt": undefined })).toMatch(
      /^dvs-gesture: found no trials_to_train.txt in .*: unpack DvsGesture.tar.gz \(MD5 8a5c/,
    )
    expect(await refused({ "user02_lab_labels.csv": undefined })).toContain("found no user02_lab_labels.csv in …:")
    expect(await refused({ "user02_lab.aedat": undefined })).toContain("found no user02_lab.aedat in …:")
    expect(await refused({ "trials_to_train.txt": "../secret" })).toBe(
      '…/trials_to_train.txt: "../secret" is no name of an .aedat file',
    )
    expect(await refused({ "user01_led_labels.csv": csv("12,1,2") })).toBe(
      "…/user01_led_labels.csv, line 2: class 12 is not in 1 … 11",
    )
    expect(await refused({ "user01_led_labels.csv": csv("1,400,500") })).toContain(
      "user01_led.aedat: there is no event from 400 to 500 µs",
    )
    expect(await refused({ "user01_led.aedat": recording.subarray(0, -1) })).toContain(
      "is cut off after 31 of 32 bytes of events",
    )
  })
})

describe("cifar10-dvs", () => {
  const classes = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
  // x = 127 − row, y = 127 − column.
  const recording = (row: number) =>
    aedat2([
      { column: 127, row, off: 0, time: 5 },
      { column: 127, row, off: 1, time: 6 },
    ])
  const files = Object.fromEntries(
    classes.flatMap((name) =>
      [0, 10, 2, 899, 900, 999].map((number) => [
        `${name}/cifar10_${name}_${number}.aedat`,
        recording(number === 10 ? 127 : 100),
      ]),
    ),
  )

  test("recordings below 900 of each class are for training, sorted by number", async () => {
    await withDirectory(files, async (dataDir) => {
      const dataset = await run(open("cifar10-dvs", { timeSteps: 2, dataDir, size: 128 }))
      expect(labels(dataset.train)).toEqual(classes.flatMap((_, i) => [i, i, i, i]))
      expect(labels(dataset.test)).toEqual(classes.flatMap((_, i) => [i, i]))
      const out = await write(dataset, [0, 1, 2], 2)
      expect(entries(out, 128, 3).map(({ step, sample, x, y, p, count }) => [step, sample, x, y, p, count])).toEqual([
        [0, 0, 27, 0, 1, 1],
        [0, 1, 27, 0, 1, 1],
        [0, 2, 0, 0, 1, 1],
        [1, 0, 27, 0, 0, 1],
        [1, 1, 27, 0, 0, 1],
        [1, 2, 0, 0, 0, 1],
      ])
    })
  })

  test("48 × 48 by default: polarities are separate, and large counts do not wrap", async () => {
    const many = aedat2(Array.from({ length: 2560 }, (_, i) => ({ column: 64, row: 64, off: 0, time: i })))
    await withDirectory({ ...files, "airplane/cifar10_airplane_0.aedat": many }, async (dataDir) => {
      const dataset = await run(open("cifar10-dvs", { timeSteps: 1, dataDir }))
      expect(dataset.shape).toEqual([48, 48, 2])
      const found = entries(await write(dataset, [0], 1), 48, 1)
      expect(found.every(({ p }) => p === 1)).toBe(true)
      // The mean over pixels is preserved: 2,560 ⁄ 128² = total ⁄ 48².
      const total = found.reduce((sum, { count = 0 }) => sum + count, 0)
      expect(total / 48 ** 2).toBeCloseTo(2560 / 128 ** 2, 2)
    })
  })

  test("rolls the resized frame by up to five pixels", async () => {
    await withDirectory(files, async (dataDir) => {
      const augment: ReadonlyArray<AugmentationName> = ["flip", "roll"]
      const dataset = await run(open("cifar10-dvs", { timeSteps: 1, dataDir, augment }))
      const plain = await write(dataset, [0], 1)
      const weight = (out: Float32Array) => out.reduce((sum, value) => sum + value, 0)
      const seen = new Set<string>()
      for (let seed = 0; seed < 40; seed++) {
        const out = await write(dataset, [0], 1, [Key.make(seed)])
        expect(weight(out)).toBeCloseTo(weight(plain), 4)
        seen.add(out.join())
      }
      expect(seen.size).toBeGreaterThan(20)
    })
  })

  test("without a data directory, downloads and unpacks one archive per class", async () => {
    await withDirectory({}, async (cache) => {
      const asked: Array<string> = []
      const archive = zip({ "airplane/cifar10_airplane_0.aedat": recording(1) })
      // The test's archives do not have the published checksums.
      const error = await failure(
        open("cifar10-dvs", { timeSteps: 1 }).pipe(
          online(() => new Response(Uint8Array.from(archive)), asked),
          cachedIn(cache),
        ),
      )
      expect(asked).toEqual(["https://ndownloader.figshare.com/files/7712788 whole"])
      expect(error.message).toContain("md5 should be 0afd5c4bf9ae06af762a77b180354fdd")
      expect(readdirSync(join(cache, "spikeroute", "cifar10-dvs"))).toEqual([])
    })
  })

  const offline = online(() => new Response("no", { status: 500 }))

  test("archives in the cache are unpacked once", async () => {
    const archives = Object.fromEntries(
      classes.map((name) => [
        `spikeroute/cifar10-dvs/${name}.zip`,
        zip({ [`${name}/cifar10_${name}_0.aedat`]: recording(1), [`${name}/notes.txt`]: Uint8Array.of(1) }),
      ]),
    )
    await withDirectory(archives, async (cache) => {
      const dataset = await run(open("cifar10-dvs", { timeSteps: 1, size: 128 }).pipe(offline, cachedIn(cache)))
      expect(labels(dataset.train)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
      expect(readdirSync(join(cache, "spikeroute/cifar10-dvs/ship"))).toEqual(["cifar10_ship_0.aedat"])
    })
    const cut = {
      ...archives,
      "spikeroute/cifar10-dvs/cat.zip": zip({ "cat/cifar10_cat_0.aedat": recording(1) }).subarray(0, 60),
    }
    await withDirectory(cut, async (cache) => {
      const error = await failure(open("cifar10-dvs", { timeSteps: 1 }).pipe(offline, cachedIn(cache)))
      expect(error.message).toContain("cat.zip: not a whole ZIP archive")
      expect(readdirSync(join(cache, "spikeroute/cifar10-dvs"))).not.toContain("cat")
    })
  })

  test("missing or truncated files are named in one line", async () => {
    const { "truck/cifar10_truck_2.aedat": _, ...rest } = files
    const cut = { ...rest, "truck/cifar10_truck_2.aedat": recording(1).subarray(0, -4) }
    await withDirectory(cut, async (dataDir) => {
      const { train } = await run(open("cifar10-dvs", { timeSteps: 1, dataDir }))
      const error = await failure(train.write([37], undefined, new Float32Array(48 * 48 * 2)))
      expect(error.message).toMatch(/truck\/cifar10_truck_2.aedat, byte \d+: event 1 is cut off after 4 of 8 bytes$/)
      const missing = await failure(open("cifar10-dvs", { timeSteps: 1, dataDir: join(dataDir, "no") }))
      expect(missing.message).toContain("found no cifar10_airplane_<number>.aedat in ")
      expect(missing.message).toContain("https://ndownloader.figshare.com/files/7712788")
    })
  })
})

describe("nmnist", () => {
  const recording = Uint8Array.from([10, 20].flatMap((t) => nmnistEvent(1, 2, 1, t)))

  test("without a data directory, downloads the archives and verifies the published checksums", async () => {
    await withDirectory({}, async (cache) => {
      const asked: Array<string> = []
      const archive = zip({ "Train/3/00001.bin": recording })
      const error = await failure(
        open("nmnist", { timeSteps: 1 }).pipe(
          online(() => new Response(Uint8Array.from(archive)), asked),
          cachedIn(cache),
        ),
      )
      expect(asked).toEqual([
        "https://data.mendeley.com/public-files/datasets/468j46mzdv/files/39c25547-014b-4137-a934-9d29fa53c7a0/file_downloaded whole",
      ])
      expect(error.message).toContain("md5 should be 20959b8e626244a1b502305a9e6e2031")
      expect(readdirSync(join(cache, "spikeroute", "nmnist"))).toEqual([])
    })
  })

  test("archives in the cache are unpacked by digit, ignoring other contents", async () => {
    const archives = {
      "spikeroute/nmnist/Train.zip": zip({
        "Train/3/00001.bin": recording,
        "Train/3/00004.bin": recording,
        "Train/0/00002.bin": recording,
        "Train/0/.DS_Store": Uint8Array.of(1),
        "../Train/../7/00005.bin": recording,
        "__MACOSX/notes.bin": recording,
      }),
      "spikeroute/nmnist/Test.zip": zip({ "Test/9/00001.bin": recording }),
    }
    const offline = online(() => new Response("no", { status: 500 }))
    await withDirectory(archives, async (cache) => {
      const { train, test } = await run(open("nmnist", { timeSteps: 1 }).pipe(offline, cachedIn(cache)))
      expect([labels(train), labels(test)]).toEqual([[0, 3, 3], [9]])
      expect(readdirSync(join(cache, "spikeroute/nmnist/Train")).sort()).toEqual(["0", "3"])
    })
    const foreign = { "spikeroute/nmnist/Train.zip": zip({ "Train/x.bin": recording }) }
    await withDirectory(foreign, async (cache) => {
      const error = await failure(open("nmnist", { timeSteps: 1 }).pipe(offline, cachedIn(cache)))
      expect(error.message).toContain("Train.zip: it holds no Train/<digit>/*.bin")
    })
  })
})
