/**
 * CIFAR10-DVS: 10,000 images of CIFAR-10 that move on a screen in front of an event camera (Li, Liu, Ji, Li, Shi,
 * "CIFAR10-DVS: an event-stream dataset for object classification", Frontiers in Neuroscience, 2017).
 *
 * There are 1,000 recordings per class. The split is 9:1, as in SLTT and the work it compares with: recordings 0 … 899 of
 * each class are for training, 900 … 999 for testing.
 *
 * **Size.** SLTT's network takes 48 × 48. The counts of each polarity are resized separately, as floats, with the filter of
 * Pillow's `resize`. The published code converts the counts to an 8-bit image first, which wraps them modulo 256 and treats
 * the two polarities as colours.
 *
 * **Augmentation.** The published training uses none. Its code also contains flips and rolls of up to 5 pixels of the
 * 48 × 48 frames, for another representation of the data: `augment: ["flip", "roll"]`.
 */
import { Effect, FileSystem, Path } from "effect"
import { augmentation } from "../augmentations.ts"
import { MalformedFile, MissingFile } from "../errors.ts"
import { eventSplit } from "../events/split.ts"
import { adviceOn, type Foreign, listMatching, lookOrMake, obtain, searched } from "../files/locate.ts"
import { readBytes } from "../files/read.ts"
import { named, unzip } from "../files/unpack.ts"
import { parseAedat2, side } from "../formats/aedat2.ts"
import type { OpenOptions, Source } from "./options.ts"

const name = "cifar10-dvs"

/** One archive per class on figshare (https://figshare.com/articles/dataset/CIFAR10-DVS_New/4724671). */
const archives = {
  airplane: { id: 7712788, md5: "0afd5c4bf9ae06af762a77b180354fdd" },
  automobile: { id: 7712791, md5: "8438dfeba3bc970c94962d995b1b9bdd" },
  bird: { id: 7712794, md5: "a9c207c91c55b9dc2002dc21c684d785" },
  cat: { id: 7712812, md5: "52c63c677c2b15fa5146a8daf4d56687" },
  deer: { id: 7712815, md5: "b6bf21f6c04d21ba4e23fc3e36c8a4a3" },
  dog: { id: 7712818, md5: "f379ebdf6703d16e0a690782e62639c3" },
  frog: { id: 7712842, md5: "cad6ed91214b1c7388a5f6ee56d08803" },
  horse: { id: 7712851, md5: "e7cbbf77bec584ffbf913f00e682782a" },
  ship: { id: 7712836, md5: "41c7bd7d6b251be82557c6cce9a7d5c9" },
  truck: { id: 7712839, md5: "89f3922fd147d9aeff89e76a2b0b70a7" },
} as const

type ClassName = keyof typeof archives

const classNames = Object.keys(archives) as ReadonlyArray<ClassName>

/** Number of the first test recording of each class. */
const firstOfTest = 900

const numberOf = (file: string): number => Number(/_(\d+)\.aedat$/.exec(file)?.[1])

const foreign: Foreign = [
  [/\.aedat4$/, "of tonic's copy, AEDAT 4, which is not read: take the recordings as published, AEDAT 2.0"],
  [/\.zip$/, "which has to be unpacked there"],
  [/\.(npy|npz|mat)$/, "which is not read: take the recordings as published, AEDAT 2.0"],
]

/** The recordings of a class, sorted by number. */
const recordings = Effect.fnUntraced(function* (className: ClassName, options: OpenOptions) {
  const path = yield* Path.Path
  const pattern = new RegExp(`^cifar10_${className}_\\d+\\.aedat$`)
  const directories = (yield* searched(name, options)).map((each) => path.join(each, className))
  const list = Effect.fnUntraced(function* () {
    for (const directory of directories) {
      const files = yield* listMatching(directory, pattern)
      if (files.length > 0) return [...files].sort((a, b) => numberOf(a) - numberOf(b))
    }
    return undefined
  })
  const { id, md5 } = archives[className]
  const url = `https://ndownloader.figshare.com/files/${id}`
  const wanted = [`cifar10_${className}_<number>.aedat`]
  if (options.dataDir !== undefined) {
    const there = yield* list()
    if (there !== undefined) return there
    const otherwise = `unpack ${url} there, or name no data directory to have it downloaded`
    const places = directories.flatMap((each) => [each, path.dirname(each)])
    const advice = yield* adviceOn(places, foreign, otherwise)
    return yield* new MissingFile({ dataset: name, wanted, searched: directories, advice })
  }
  const folder = directories[0] as string
  const archive = { names: [`${className}.zip`], url, checksum: { algorithm: "md5", hex: md5 } } as const
  const make = Effect.flatMap(obtain(name, archive, options), (packed) =>
    unzip(packed, named(pattern), folder, { bytes: 2 ** 33, files: 10_000 }),
  )
  const found = yield* lookOrMake(folder, list(), make)
  return found ?? (yield* new MalformedFile({ file: `${folder}.zip`, problem: `it holds no ${wanted}` }))
})

const usualSide = 48

const sample = {
  shape: [usualSide, usualSide, 2],
  classes: classNames.length,
  classNames,
  encoding: "frames",
} as const

/** The data set: frames [48, 48, 2], by default with equal numbers of events. */
export const cifar10Dvs: Source = {
  description: "CIFAR-10 seen by an event camera, 48×48 of 128×128, 9,000 + 1,000",
  sample,
  size: { greatest: side },
  augment: [],
  costly: true,
  open: Effect.fnUntraced(function* (options: OpenOptions) {
    const fs = yield* FileSystem.FileSystem
    const { size = usualSide } = options
    const all = (yield* Effect.forEach(classNames, (className, label) =>
      Effect.map(recordings(className, options), (files) => files.map((file) => ({ file, label }))),
    )).flat()

    const split = (part: "train" | "test") => {
      const own = all.filter(({ file }) => numberOf(file) < firstOfTest === (part === "train"))
      const load = (index: number) => {
        const { file } = own[index] as (typeof own)[number]
        return readBytes(file, 2 ** 28).pipe(
          Effect.flatMap((bytes) => Effect.fromResult(parseAedat2(file, bytes))),
          Effect.provideService(FileSystem.FileSystem, fs),
        )
      }
      return eventSplit({
        size: own.length,
        label: (index) => (own[index] as (typeof own)[number]).label,
        load,
        width: side,
        height: side,
        timeSteps: options.timeSteps,
        framing: options.framing ?? "count",
        side: size,
        ...(part === "train" && {
          transform: options.eventTransform,
          augment: augmentation(options.augment ?? [], size),
        }),
      })
    }
    return { name, ...sample, shape: [size, size, 2], train: split("train"), test: split("test") }
  }),
}
