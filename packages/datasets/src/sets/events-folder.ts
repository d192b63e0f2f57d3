/**
 * Class folders of event-camera recordings, such as N-Caltech101 and N-CARS: `classFolders` describes the folders, `readRecording` the file
 * formats. Nothing is downloaded.
 */
import { Effect, FileSystem, Semaphore } from "effect"
import { augmentation } from "../augmentations.ts"
import { MalformedFile, OptionError } from "../errors.ts"
import { eventSplit } from "../events/split.ts"
import { classFolders } from "../files/class-folders.ts"
import { readRecording, recordingPattern } from "../formats/recording.ts"
import type { OpenOptions, Source } from "./options.ts"

const name = "events-folder"

/** The sensor: from the options, or from the header of the first recording. */
const sensorOf = Effect.fnUntraced(function* (first: string, { sensor, columns }: OpenOptions) {
  if (sensor !== undefined) return { width: sensor[0] as number, height: sensor[1] as number }
  const { width, height, x, y } = yield* readRecording(first, { columns })
  if (width > 0) return { width, height }
  const reach = (values: Uint16Array) => values.reduce((most, value) => Math.max(most, value), 0) + 1
  const expected = `WIDTHxHEIGHT; the files do not state it, and events of the first recording reach ${reach(x)}x${reach(y)}`
  return yield* new OptionError({ owner: name, option: "sensor", value: sensor, expected })
})

/** The data set: frames [height, width, 2], by default with equal numbers of events; [size, size, 2] by `resize`. */
export const eventsFolder: Source = {
  description: "recordings of an event camera by class: .npy, .npz, .h5, .bin, .aedat, .dat",
  size: { greatest: 1024 },
  options: ["split", "sensor", "columns"],
  augment: [],
  costly: true,
  open: Effect.fnUntraced(function* (options: OpenOptions) {
    const fs = yield* FileSystem.FileSystem
    const { classNames, train, test } = yield* classFolders(
      name,
      options,
      recordingPattern,
      ".{npy,npz,h5,bin,aedat,dat}",
    )
    const { width, height } = yield* sensorOf(train.files[0] as string, options)
    const { size, timeSteps, framing = "count", augment = [] } = options
    if (size === undefined && width !== height && augment.includes("resized-crop"))
      return yield* new OptionError({
        ...{ owner: name, option: "augment", value: augment },
        expected: `without resized-crop, or with --size, for frames of ${width}×${height}`,
      })
    // HDF5 files are read one at a time, by the same child process.
    const alone = Semaphore.makeUnsafe(1)
    const split = (part: "train" | "test") => {
      const { files, labels } = part === "train" ? train : test
      const load = Effect.fnUntraced(
        function* (index: number) {
          const file = files[index] as string
          const read = readRecording(file, { sensor: { width, height }, columns: options.columns })
          const events = yield* /\.(h5|hdf5)$/i.test(file) ? alone.withPermit(read) : read
          if (events.width === width && events.height === height) return events
          const problem = `it was recorded with ${events.width}×${events.height} pixels; the data set has ${width}×${height}`
          return yield* new MalformedFile({ file, problem })
        },
        Effect.provideService(FileSystem.FileSystem, fs),
      )
      return eventSplit({
        ...{ size: files.length, label: (index: number) => labels[index] as number, load },
        ...{ width, height, timeSteps, framing },
        ...(size !== undefined && { side: size }),
        ...(part === "train" && {
          transform: options.eventTransform,
          augment: augmentation(augment, size ?? Math.min(width, height)),
        }),
      })
    }
    return {
      ...{ name, classes: classNames.length, classNames, encoding: "frames" as const },
      shape: size === undefined ? [height, width, 2] : [size, size, 2],
      train: split("train"),
      test: split("test"),
    }
  }),
}
