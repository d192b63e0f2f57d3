/**
 * DVS-Gesture: eleven hand and arm gestures, made by 29 people in front of an event camera under three lighting conditions
 * (Amir et al., "A low power, fully event-based gesture recognition system", CVPR 2017).
 *
 * A file holds the gestures of one person under one lighting condition; its label file has the time interval of each.
 * `trials_to_train.txt` and `trials_to_test.txt` list the files, 98 and 24. Cut at the labels, they are 1,176 + 288 samples, as in
 * SpikingJelly and snnTorch. Each sample is read from its part of the file when a batch is made. tonic's copy has one file per sample.
 */
import { quote } from "@spikeroute/core/text"
import { Effect, FileSystem, Path } from "effect"
import { augmentation } from "../augmentations.ts"
import { MalformedFile, MissingFile } from "../errors.ts"
import type { Events } from "../events/events.ts"
import { eventSplit } from "../events/split.ts"
import { foldersOf } from "../files/class-folders.ts"
import { adviceOn, type Foreign, find, listMatching, searched } from "../files/locate.ts"
import { readBytes, readPart, readText } from "../files/read.ts"
import { extentOf, indexAedat3, type Packet, readAedat3 } from "../formats/aedat3.ts"
import { type Gesture, parseGestureLabels } from "../formats/gesture-labels.ts"
import { readRecording } from "../formats/recording.ts"
import type { OpenOptions, Source } from "./options.ts"

const name = "dvs-gesture"
const side = 128

const classNames = [
  "hand clapping",
  "right hand wave",
  "left hand wave",
  "right arm clockwise",
  "right arm counter-clockwise",
  "left arm clockwise",
  "left arm counter-clockwise",
  "arm roll",
  "air drums",
  "air guitar",
  "other gestures",
]

/** Location of one sample: a file and a gesture in it. */
interface Trial {
  readonly file: string
  readonly gesture: Gesture
}

/** Greatest size of a recording, in bytes; the published ones have up to about 200 MB. */
const mostBytes = 2 ** 30

const foreign: Foreign = [
  [/^ibmGesture(Train|Test)\.tar\.gz$/, "which has to be unpacked there"],
  [/^DvsGesture\.tar\.gz$/, "which has to be unpacked there"],
]

/** Layout of tonic's copy: one row per event, with column, row, polarity and time in milliseconds. */
const tonic = { sensor: { width: side, height: side }, columns: ["x", "y", "p", "t"], unit: 1000 } as const

/** The samples of tonic's copy, ibmGesture{Train,Test}/<person and light>/<class>.npy; undefined if it is not present. */
const tonicFiles = Effect.fnUntraced(function* (split: "train" | "test", options: OpenOptions) {
  const path = yield* Path.Path
  const folder = split === "train" ? "ibmGestureTrain" : "ibmGestureTest"
  for (const directory of yield* searched(name, options))
    for (const parent of [directory, path.join(directory, "DVSGesture")]) {
      const files: Array<string> = []
      for (const each of yield* foldersOf(path.join(parent, folder)))
        files.push(...(yield* listMatching(each, /^(\d|10)\.npy$/)))
      if (files.length > 0) return files.map((file) => ({ file, label: Number(path.basename(file, ".npy")) }))
    }
  return undefined
})

/** The samples of the listed files, in order. */
const trialsOf = Effect.fnUntraced(function* (split: "train" | "test", options: OpenOptions) {
  const path = yield* Path.Path
  const list = `trials_to_${split}.txt`
  const directories = (yield* searched(name, options)).flatMap((each) => [path.join(each, "DvsGesture"), each])
  const advice =
    "unpack DvsGesture.tar.gz (MD5 8a5c71fb11e24e5ca5b11866ca6c00a1) from https://ibm.ent.box.com/s/3hiq58ww1pbbjrinh367ykfdf60xsfm8 there"
  const missing = (wanted: string, where: ReadonlyArray<string>, advised = advice) =>
    new MissingFile({ dataset: name, wanted: [wanted], searched: where, advice: advised })
  const found = yield* find(directories, [list])
  if (found === undefined) return yield* missing(list, directories, yield* adviceOn(directories, foreign, advice))
  const directory = path.dirname(found)
  const files = (yield* readText(found))
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "")
  const wrong = files.findIndex((each) => !/^[\w-]+\.aedat$/.test(each))
  if (wrong >= 0 || files.length === 0) {
    const problem = files.length === 0 ? "it names no file" : `${quote(files[wrong])} is no name of an .aedat file`
    return yield* new MalformedFile({ file: found, problem })
  }
  const trials: Array<Trial> = []
  for (const each of files) {
    const labels = each.replace(/\.aedat$/, "_labels.csv")
    for (const wanted of [each, labels])
      if ((yield* find([directory], [wanted])) === undefined) return yield* missing(wanted, [directory])
    const csv = path.join(directory, labels)
    const gestures = yield* Effect.fromResult(parseGestureLabels(csv, yield* readText(csv), classNames.length))
    const file = path.join(directory, each)
    trials.push(...gestures.map((gesture) => ({ file, gesture })))
  }
  return trials
})

/** The samples of the published recordings, each one gesture within a recording. */
const published = Effect.fnUntraced(function* (split: "train" | "test", options: OpenOptions) {
  const fs = yield* FileSystem.FileSystem
  const trials = yield* trialsOf(split, options)
  /** Packets by file, indexed on first use. */
  const indices = new Map<string, ReadonlyArray<Packet>>()
  const index = Effect.fnUntraced(
    function* (file: string) {
      const known = indices.get(file)
      if (known !== undefined) return known
      const packets = yield* Effect.fromResult(indexAedat3(file, yield* readBytes(file, mostBytes)))
      indices.set(file, packets)
      return packets
    },
    Effect.provideService(FileSystem.FileSystem, fs),
  )

  const load = Effect.fnUntraced(
    function* (sample: number) {
      const { file, gesture } = trials[sample] as Trial
      const extent = extentOf(yield* index(file), gesture.start, gesture.end)
      const bytes = yield* readPart(file, extent.from, extent.to)
      const sensor = { width: side, height: side }
      const events: Events = yield* Effect.fromResult(readAedat3(file, extent, bytes, sensor, gesture))
      if (events.t.length > 0) return events
      const problem = `there is no event from ${gesture.start} to ${gesture.end} µs, where its labels have a gesture`
      return yield* new MalformedFile({ file, problem })
    },
    Effect.provideService(FileSystem.FileSystem, fs),
  )

  return { size: trials.length, label: (sample: number) => (trials[sample] as Trial).gesture.label, load }
})

/** The samples of a split, from tonic's copy if it is present. */
const openSplit = Effect.fnUntraced(function* (split: "train" | "test", options: OpenOptions) {
  const fs = yield* FileSystem.FileSystem
  const files = yield* tonicFiles(split, options)
  const samples =
    files === undefined
      ? yield* published(split, options)
      : {
          size: files.length,
          label: (sample: number) => files[sample]?.label as number,
          load: (sample: number) =>
            Effect.provideService(readRecording(files[sample]?.file as string, tonic), FileSystem.FileSystem, fs),
        }
  return eventSplit({
    ...samples,
    width: side,
    height: side,
    timeSteps: options.timeSteps,
    framing: options.framing ?? "count",
    side: options.size ?? side,
    ...(split === "train" && {
      transform: options.eventTransform,
      augment: augmentation(options.augment ?? [], options.size ?? side),
    }),
  })
})

const sample = { shape: [side, side, 2], classes: classNames.length, classNames, encoding: "frames" } as const

/** The data set: frames [128, 128, 2], by default with equal numbers of events; smaller sizes by `resize`. */
export const dvsGesture: Source = {
  description: "gestures seen by an event camera, 128×128, 1,176 + 288",
  sample,
  size: { greatest: side },
  augment: [],
  costly: true,
  open: Effect.fnUntraced(function* (options: OpenOptions) {
    const { size = side } = options
    const train = yield* openSplit("train", options)
    const test = yield* openSplit("test", options)
    return { name, ...sample, shape: [size, size, 2], train, test }
  }),
}
