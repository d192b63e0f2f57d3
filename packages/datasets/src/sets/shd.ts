/**
 * The Spiking Heidelberg Digits: 10,420 spoken digits in English and German as spikes on 700 channels of a simulated inner
 * ear (Cramer, Stradmann, Schemmel, Zenke, "The Heidelberg spiking data sets for the systematic evaluation of
 * spiking neural networks", IEEE TNNLS, 2020).
 *
 * The files are read completely when opened: 6 bytes per spike, about 400 MB.
 */
import { Effect, Path } from "effect"
import { MalformedFile } from "../errors.ts"
import { eventSplit } from "../events/split.ts"
import { find, lookOrMake, obtain, searched } from "../files/locate.ts"
import { named, unzip } from "../files/unpack.ts"
import { channels, readShd } from "../formats/shd.ts"
import type { OpenOptions, Source } from "./options.ts"

const english = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
const german = ["null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"]
const classNames = [...english, ...german]

/** The time interval divided into frames, in microseconds; all recordings are shorter. */
const duration = 1_400_000

/** The differences between data sets of this format. */
export interface HeidelbergSource {
  readonly name: string
  readonly description: string
  readonly classes: number
  readonly classNames?: ReadonlyArray<string>
  readonly md5: { readonly train: string; readonly test: string }
}

/** Returns the path of shd_train.h5 or shd_test.h5. */
const locate = Effect.fnUntraced(function* (
  { name, md5 }: HeidelbergSource,
  split: "train" | "test",
  options: OpenOptions,
) {
  const path = yield* Path.Path
  const file = `${name}_${split}.h5`
  const folder = `${name}_${split}`
  const directories = yield* searched(name, options)
  const places = [file, path.join(folder, file)]
  const look = find(directories, places)
  const url = `https://zenkelab.org/datasets/${file}.zip`
  const checksum = { algorithm: "md5", hex: md5[split] } as const
  // A data directory is never written to, so an archive cannot be unpacked there.
  if (options.dataDir !== undefined) {
    const packed = new RegExp(`^${file}\\.(zip|gz)$`)
    return yield* obtain(name, { names: [file], elsewhere: [path.join(folder, file)], url }, options, [
      [packed, "which has to be unpacked there"],
    ])
  }
  const target = path.join(directories[0] as string, folder)
  const make = Effect.flatMap(obtain(name, { names: [`${file}.zip`], url, checksum }, options), (packed) =>
    unzip(packed, named(new RegExp(`^${file}$`)), target, { bytes: 2 ** 32, files: 1 }),
  )
  const unpacked = yield* lookOrMake(target, look, make)
  return unpacked ?? (yield* new MalformedFile({ file: `${file}.zip`, problem: `it holds no ${file}` }))
})

const openSplit = Effect.fnUntraced(function* (
  source: HeidelbergSource,
  split: "train" | "test",
  options: OpenOptions,
) {
  const file = yield* locate(source, split, options)
  const { times, units, labels } = yield* readShd(file, source.classes)
  const late = times.findIndex((seconds) => (seconds.at(-1) ?? 0) * 1e6 >= duration)
  if (late >= 0) {
    const problem = `recording ${late} ends at ${times[late]?.at(-1)} s; those of ${source.name} end before ${duration / 1e6} s`
    return yield* new MalformedFile({ file, problem })
  }
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

/** A data set in this format: frames [700], by default of equal durations. */
export const heidelberg = (source: HeidelbergSource): Source => {
  const { name, description, classes, classNames } = source
  const sample = { shape: [channels], classes, ...(classNames && { classNames }), encoding: "frames" } as const
  return {
    description,
    sample,
    augment: "never",
    open: Effect.fnUntraced(function* (options: OpenOptions) {
      const train = yield* openSplit(source, "train", options)
      const test = yield* openSplit(source, "test", options)
      return { name, ...sample, train, test }
    }),
  }
}

/** The data set. */
export const shd: Source = heidelberg({
  name: "shd",
  description: "spoken digits as spikes of 700 channels, 8,156 + 2,264",
  classes: classNames.length,
  classNames,
  md5: { train: "f3252aeb598ac776c1b526422d90eecb", test: "1503a5064faa34311c398fb0a1ed0a6f" },
})
