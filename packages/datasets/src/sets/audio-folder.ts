/**
 * Class folders of WAV files, such as spoken words: `classFolders` describes the folders. A sample is the log-mel spectrogram of the first
 * `duration` seconds, with 40 bands and one frame per time step: see `melFrames`. Nothing is downloaded.
 */
import { Effect, FileSystem } from "effect"
import { bands, longestWindow, melFrames } from "../audio/mel.ts"
import { batchProblem } from "../checks.ts"
import type { Split } from "../dataset.ts"
import { MalformedFile, OptionError } from "../errors.ts"
import { classFolders, type Labelled } from "../files/class-folders.ts"
import { readBytes } from "../files/read.ts"
import { parseWav } from "../formats/wav.ts"
import type { OpenOptions, Source } from "./options.ts"

const name = "audio-folder"

/** Greatest size of a file, in bytes, and number of recordings of a batch that are read concurrently. */
const mostBytes = 2 ** 28
const concurrency = 4

const readSound = (file: string) =>
  Effect.flatMap(readBytes(file, mostBytes), (bytes) => Effect.fromResult(parseWav(file, bytes)))

/** The data set: frames [40]. */
export const audioFolder: Source = {
  description: "recordings of sound by class, .wav: log-mel spectrograms of 40 bands",
  options: ["split", "duration"],
  augment: "never",
  costly: true,
  open: Effect.fnUntraced(function* (options: OpenOptions) {
    const fs = yield* FileSystem.FileSystem
    const { timeSteps, duration = 1 } = options
    const { classNames, train, test } = yield* classFolders(name, options, /\.wav$/i, ".wav")
    const first = train.files[0] as string
    const { rate } = yield* readSound(first)
    const frames = melFrames(rate, duration, timeSteps)
    if (frames.window > longestWindow)
      return yield* new OptionError({
        ...{ owner: name, option: "timeSteps", value: timeSteps },
        expected: `at least ${Math.ceil((2 * duration * rate) / longestWindow)} for ${duration} s of ${rate} samples a second`,
      })
    const load = Effect.fnUntraced(
      function* (file: string) {
        const sound = yield* readSound(file)
        if (sound.rate === rate) return frames.of(sound.samples)
        const problem = `it has ${sound.rate} samples a second, ${first} has ${rate}: resample them to one rate`
        return yield* new MalformedFile({ file, problem })
      },
      Effect.provideService(FileSystem.FileSystem, fs),
    )
    const split = ({ files, labels }: Labelled): Split => ({
      size: files.length,
      label: (index) => labels[index] as number,
      write: (samples, keys, out) => {
        const problem = batchProblem(files.length, samples, keys, out, bands, timeSteps)
        if (problem !== undefined) return Effect.fail(problem)
        const writeOne = (sample: number, n: number) =>
          Effect.map(load(files[sample] as string), (found) => {
            for (let t = 0; t < timeSteps; t++)
              out.set(found.subarray(t * bands, (t + 1) * bands), (t * samples.length + n) * bands)
          })
        return Effect.forEach(Array.from(samples), writeOne, { concurrency, discard: true })
      },
    })
    return {
      ...{ name, shape: [bands], classes: classNames.length, classNames, encoding: "frames" as const },
      train: split(train),
      test: split(test),
    }
  }),
}
