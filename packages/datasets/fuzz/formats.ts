/** Data formats for `bun run fuzz:files`, which defines the interface of a format: a small valid folder and a function that reads it. */
import { existsSync, readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { gunzipSync, gzipSync } from "node:zlib"
import { Effect } from "effect"
import { untar, unzip } from "../src/files/unpack.ts"
import { open } from "../src/index.ts"
import type { OpenOptions } from "../src/sets/options.ts"
import {
  aedat2,
  aedat3Header,
  aedat3Packet,
  cifarRecord,
  hdf5,
  jpeg,
  mnistFiles,
  nmnistEvent,
  npy,
  pcm16,
  png,
  recordedEvents,
  recordings,
  run,
  tar,
  wav,
  zip,
} from "../test/support.ts"

/** Opens the data set in the folder and makes its first samples, which must be finite with labels in range. */
const reads =
  (name: string, options: Partial<OpenOptions> = {}) =>
  (dataDir: string): Promise<void> =>
    run(
      Effect.gen(function* () {
        const timeSteps = 2
        const { shape, classes, encoding, train, test } = yield* open(name, { timeSteps, dataDir, ...options })
        for (const split of [train, test]) {
          const samples = Array.from({ length: Math.min(split.size, 8) }, (_, i) => i)
          const steps = encoding === "frames" ? timeSteps : 1
          const out = new Float32Array(steps * samples.length * shape.reduce((a, b) => a * b, 1))
          yield* split.write(samples, undefined, out)
          if (!out.every(Number.isFinite)) throw new Error("a value is not finite")
          for (const label of samples.map(split.label))
            if (!(Number.isInteger(label) && label >= 0 && label < classes)) throw new Error(`a label is ${label}`)
        }
      }),
    )

/** Unpacks an archive next to it. */
const unpacks =
  (archive: string, unpack: typeof unzip) =>
  async (directory: string): Promise<void> => {
    const target = join(directory, "unpacked")
    const place = (path: string) => (path.includes("..") || path.startsWith("/") ? undefined : path)
    try {
      await run(unpack(join(directory, archive), place, target, { bytes: 2 ** 26, files: 100 }))
      if (!existsSync(target)) throw new Error("nothing was made")
    } finally {
      for (const made of readdirSync(directory).filter((name) => name.startsWith("unpacked")))
        rmSync(join(directory, made), { recursive: true, force: true })
    }
  }

const unzipped = (files: Readonly<Record<string, Uint8Array>>) =>
  Object.fromEntries(
    Object.entries(files).map(([name, content]) => [name.replace(/\.gz$/, ""), new Uint8Array(gunzipSync(content))]),
  )

const mnist = mnistFiles(2, 2)
const cifar = Uint8Array.from([...cifarRecord([1], (c) => c), ...cifarRecord([9], (c) => 2 * c)])
const cifar100 = Uint8Array.from([...cifarRecord([3, 77], (c) => c), ...cifarRecord([0, 5], (c) => 2 * c)])
const nmnist = Uint8Array.from([10, 20, 30, 40].flatMap((t, i) => nmnistEvent(i, 5, i % 2, t)))
const dvs = aedat2(Array.from({ length: 12 }, (_, i) => ({ column: i, row: 100 - i, off: i % 2, time: 5 * i })))
const gestures = Uint8Array.from([
  ...aedat3Header,
  ...aedat3Packet(Array.from({ length: 6 }, (_, i) => ({ x: i, y: 7, on: i % 2, time: 90 + i }))),
  ...aedat3Packet(Array.from({ length: 6 }, (_, i) => ({ x: i, y: 9, on: i % 2, time: 150 + i }))),
])
const spikes = hdf5({
  "spikes/times": { type: "f16", values: [[0x0001, 0x3400, 0x3800], [], [0x1000, 0x3c00]] },
  "spikes/units": { type: "u16", values: [[0, 699, 3], [], [5, 5]] },
  labels: { type: "u16", values: [19, 0, 7] },
})
const digits = `${Array.from({ length: 4 }, (_, i) => [...new Array(64).fill(4 * i), i].join(",")).join("\n")}\n`
const picture = png(12, 9, (x, y) => [20 * x, 25 * y, 100])

const rows = npy(
  "<f8",
  [3, 4],
  recordedEvents.flatMap(([x, y, t, p]) => [x, y, p, t]),
)
const inputs = npy("<f4", [3, 4], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
const classes = npy("<i4", [3], [0, 1, 2])
const sound = wav({ channels: 2 }, pcm16(Array.from({ length: 800 }, (_, i) => Math.sin(i))))

const folders = (file: string, content: Uint8Array) =>
  Object.fromEntries(["train/a", "train/b", "val/a", "val/b"].map((folder) => [`${folder}/${file}`, content]))

const cifar10Dvs = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
const packed = { "Train/0/00001.bin": nmnist, "Train/1/00002.bin": nmnist, "notes.txt": Buffer.from("text\n") }

export const formats = [
  { name: "idx", files: unzipped(mnist), read: reads("mnist") },
  { name: "idx.gz", files: mnist, read: reads("mnist") },
  {
    name: "idx-in-gz",
    files: mnist,
    // Mutations apply to the uncompressed data.
    unpack: (bytes: Uint8Array) => new Uint8Array(gunzipSync(bytes)),
    pack: (bytes: Uint8Array) => new Uint8Array(gzipSync(bytes)),
    read: reads("mnist"),
  },
  {
    name: "cifar10",
    files: Object.fromEntries(
      [1, 2, 3, 4, 5].map((i) => [`data_batch_${i}.bin`, cifar]).concat([["test_batch.bin", cifar]]),
    ),
    read: reads("cifar10"),
  },
  { name: "cifar100", files: { "train.bin": cifar100, "test.bin": cifar100 }, read: reads("cifar100") },
  { name: "nmnist", files: { "Train/0/00002.bin": nmnist, "Test/3/00009.bin": nmnist }, read: reads("nmnist") },
  {
    name: "aedat2",
    files: Object.fromEntries(
      cifar10Dvs.flatMap((name) => [0, 900].map((number) => [`${name}/cifar10_${name}_${number}.aedat`, dvs])),
    ),
    read: reads("cifar10-dvs"),
  },
  {
    name: "aedat3",
    files: {
      "trials_to_train.txt": "user01_led.aedat\n",
      "trials_to_test.txt": "user24_led.aedat\n",
      "user01_led.aedat": gestures,
      "user01_led_labels.csv": "class,startTime_usec,endTime_usec\n3,90,100\n11,150,160\n",
      "user24_led.aedat": gestures,
      "user24_led_labels.csv": "class,startTime_usec,endTime_usec\n2,0,1000\n",
    },
    read: reads("dvs-gesture"),
  },
  { name: "shd", files: { "shd_train.h5": spikes, "shd_test.h5": spikes }, read: reads("shd") },
  ...Object.entries(recordings).map(([file, content]) => ({
    name: `events-${file}`,
    files: Object.fromEntries(["train/a", "test/a"].map((folder) => [`${folder}/${file}`, content])),
    read: reads("events-folder", {
      sensor: file.startsWith("dvs128") ? [128, 128] : [240, 180],
      columns: ["x", "y", "t", "p"],
    }),
  })),
  {
    name: "gesture.npy",
    files: { "ibmGestureTrain/a/10.npy": rows, "ibmGestureTest/a/3.npy": rows },
    read: reads("dvs-gesture"),
  },
  { name: "arrays.npy", files: { "x.npy": inputs, "y.npy": classes }, read: reads("arrays") },
  { name: "arrays.npz", files: { "a.npz": zip({ "x.npy": inputs, "y.npy": classes }) }, read: reads("arrays") },
  {
    name: "wav",
    files: { "train/a/1.wav": sound, "test/a/2.wav": sound },
    read: reads("audio-folder", { duration: 0.05 }),
  },
  { name: "csv", files: { "optdigits.tra": digits, "optdigits.tes": digits }, read: reads("optdigits") },
  { name: "png", files: folders("1.png", picture), read: reads("image-folder", { size: 16 }) },
  { name: "jpeg", files: folders("1.jpg", jpeg(40)), read: reads("image-folder", { size: 16 }) },
  { name: "zip", files: { "a.zip": zip(packed) }, read: unpacks("a.zip", unzip) },
  { name: "tar.gz", files: { "a.tar.gz": new Uint8Array(gzipSync(tar(packed))) }, read: unpacks("a.tar.gz", untar) },
  {
    name: "tar-in-gz",
    files: { "a.tar.gz": new Uint8Array(gzipSync(tar(packed))) },
    unpack: (bytes: Uint8Array) => new Uint8Array(gunzipSync(bytes)),
    pack: (bytes: Uint8Array) => new Uint8Array(gzipSync(bytes)),
    read: unpacks("a.tar.gz", untar),
  },
]
