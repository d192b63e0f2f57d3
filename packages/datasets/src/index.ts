/**
 * Data sets for spiking networks: static images and event recordings, their file formats and transforms, a simulated
 * event camera, and batches.
 *
 * `open` locates, downloads and reads a data set; `batches` streams the batches of an epoch. The package does not depend on
 * networks and holds no random state: all randomness comes from keys that the caller supplies.
 *
 * @example
 * const dataset = yield* open("shapes", { timeSteps: 8 })
 * const epoch = batches(dataset, "train", { batchSize: 32, timeSteps: 8, key: Key.make(1), remainder: "drop" })
 */
export { type AugmentationName, augmentationNames, augmentations } from "./augmentations.ts"
export { type BatchOptions, BatchSchema, batchCount, batches } from "./batches.ts"
export * as Camera from "./camera/camera.ts"
export type { Batch, Dataset, Sample, Split, Targets } from "./dataset.ts"
export * from "./errors.ts"
export * as Events from "./events/events.ts"
export * as Frames from "./events/frames.ts"
export { type EventSplitOptions, EventSplitSchema, eventSplit, type Framing } from "./events/split.ts"
export * as EventStream from "./events/stream.ts"
export * as EventTransforms from "./events/transforms.ts"
export {
  type Checksum,
  type DownloadError,
  type DownloadOptions,
  DownloadSchema,
  download,
  type Progress,
} from "./files/download.ts"
export type { FileServices } from "./files/locate.ts"
export { otherThanFile } from "./files/read.ts"
export { parseAedat2 } from "./formats/aedat2.ts"
export { extentOf, indexAedat3, type Packet, readAedat3 } from "./formats/aedat3.ts"
export { type CifarLayout, parseCifar } from "./formats/cifar.ts"
export { type Gesture, parseGestureLabels } from "./formats/gesture-labels.ts"
export { type IdxArray, type NamedBytes, parseIdx, parseIdxPair } from "./formats/idx.ts"
export { parseNmnist } from "./formats/nmnist.ts"
export { parseOptdigits } from "./formats/optdigits.ts"
export { readShd, type SpikeRecordings } from "./formats/shd.ts"
export { resize } from "./images/resize.ts"
export { type ImageSplitOptions, ImageSplitSchema, imageSplit, type LabelledImages } from "./images/split.ts"
export * as ImageTransforms from "./images/transforms.ts"
export { datasets, OpenSchema, open, sampleOf } from "./open.ts"
export type { OpenOptions, Source } from "./sets/options.ts"
export { makeShapes, type ShapesOptions, ShapesSchema, shapeEvents } from "./sets/shapes.ts"
export { compose, type Transform } from "./transform.ts"
export { openInWorkers, WorkersSchema } from "./workers/open.ts"
export { serve } from "./workers/serve.ts"
