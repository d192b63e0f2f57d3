/**
 * The Spiking Heidelberg Digits: 10,420 spoken digits, English and German, as spikes of 700 channels of a simulated
 * inner ear (Cramer, Stradmann, Schemmel, Zenke, "The Heidelberg spiking data sets for the systematic evaluation of
 * spiking neural networks", IEEE TNNLS, 2020).
 *
 * Read whole when opened: 6 bytes a spike, some 400 MB.
 */
import { Effect, Path } from "effect"
import { MalformedFile } from "../errors.ts"
import { eventSplit } from "../events/split.ts"
import { find, obtain, searched } from "../files/locate.ts"
import { named, unzip } from "../files/unpack.ts"
import { channels, readShd } from "../formats/shd.ts"
import type { OpenOptions, Source } from "./options.ts"

const name = "shd"

const english = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
const german = ["null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"]
const classNames = [...english, ...german]

/** All recordings are shorter: the time that frames divide, in microseconds. */
const duration = 1_400_000

const md5 = { train: "f3252aeb598ac776c1b526422d90eecb", test: "1503a5064faa34311c398fb0a1ed0a6f" }

/** The path of shd_train.h5 or shd_test.h5. */
const locate = Effect.fnUntraced(function* (split: "train" | "test", options: OpenOptions) {
  const path = yield* Path.Path
  const file = `shd_${split}.h5`
  const folder = `shd_${split}`
  const directories = yield* searched(name, options)
  const places = [file, path.join(folder, file)]
  const there = yield* find(directories, places)
  if (there !== undefined) return there
  const url = `https://zenkelab.org/datasets/${file}.zip`
  const checksum = { algorithm: "md5", hex: md5[split] } as const
  // With a data directory, which is never written to, the archive will not do.
  const names = options.dataDir === undefined ? ([`${file}.zip`] as const) : ([file] as const)
  const archive = yield* obtain(name, { names, url, checksum }, options)
  yield* unzip(archive, named(new RegExp(`^${file}$`)), path.join(path.dirname(archive), folder))
  const unpacked = yield* find(directories, places)
  return unpacked ?? (yield* new MalformedFile({ file: archive, problem: `it holds no ${file}` }))
})

const openSplit = Effect.fnUntraced(function* (split: "train" | "test", options: OpenOptions) {
  const file = yield* locate(split, options)
  const { times, units, labels } = yield* readShd(file, classNames.length)
  const load = (index: number) =>
    Effect.sync(() => {
      const seconds = times[index] as Float32Array
      return {
        width: channels,
        height: 1,
        x: units[index] as Uint16Array,
        y: new Uint16Array(seconds.length),
        t: Float64Array.from(seconds, (time) => Math.round(time * 1e6)),
        p: new Uint8Array(seconds.length).fill(1),
      }
    })
  return eventSplit({
    size: labels.length,
    label: (index) => labels[index] as number,
    load,
    width: channels,
    height: 1,
    channels: 1,
    timeSteps: options.timeSteps,
    framing: options.framing ?? "duration",
    window: { start: 0, duration },
    transform: split === "train" ? options.eventTransform : undefined,
  })
})

const sample = { shape: [channels], classes: classNames.length, classNames, encoding: "frames" } as const

/** The data set: frames [700] of equal durations, unless told otherwise. */
export const shd: Source = {
  description: "spoken digits as spikes of 700 channels, 8,156 + 2,264",
  sample,
  augment: "never",
  open: Effect.fnUntraced(function* (options: OpenOptions) {
    const train = yield* openSplit("train", options)
    const test = yield* openSplit("test", options)
    return { name, ...sample, train, test }
  }),
}
