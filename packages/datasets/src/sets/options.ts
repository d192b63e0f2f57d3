/** Options and interface common to all data sets. */
import type { Effect } from "effect"
import type { AugmentationName } from "../augmentations.ts"
import type { Dataset, Sample } from "../dataset.ts"
import type { DatasetError } from "../errors.ts"
import type { Column } from "../events/column-names.ts"
import type { Events } from "../events/events.ts"
import type { Framing } from "../events/split.ts"
import type { FileServices, LocateOptions } from "../files/locate.ts"
import type { Transform } from "../transform.ts"

/** The options of `open`; each data set uses those that apply to it. */
export interface OpenOptions extends LocateOptions {
  /** Number of time steps, and of frames into which event data are divided. */
  readonly timeSteps: number
  /** Seed of generated data and of random splits. Default 0. */
  readonly seed?: number | undefined
  /** How events are divided into frames. The default depends on the data set. */
  readonly framing?: Framing | undefined
  /** Augmentation of the training events, applied if a batch has a key. */
  readonly eventTransform?: Transform<Events> | undefined
  /** Augmentation of the training images or frames, in this order, applied if a batch has a key. The default depends on the data set. */
  readonly augment?: ReadonlyArray<AugmentationName> | undefined
  /** Fraction of test samples, drawn from the seed, if the files define no split. Default 0.2. */
  readonly split?: number | undefined
  /** Width and height of the event camera's sensor, if the files do not state it. */
  readonly sensor?: ReadonlyArray<number> | undefined
  /** Order of the columns of event arrays that do not name them. */
  readonly columns?: ReadonlyArray<Column> | undefined
  /** Arrays: whether axis 1 is time ("frames"). By default it is if there are 3 or 5 axes. */
  readonly encoding?: Sample["encoding"] | undefined
  /** Seconds to which audio recordings are cut or padded. Default 1. */
  readonly duration?: number | undefined
  /** Width and height of the samples, for data sets with a configurable size. The default depends on the data set. */
  readonly size?: number | undefined
}

/** Options that only some data sets accept. */
export const special = ["split", "sensor", "columns", "encoding", "duration"] as const

/** A data set that can be opened. */
export interface Source {
  /** One-line description for lists of data sets. */
  readonly description: string
  /** Description of a sample at the default size; absent if it depends on the files. */
  readonly sample?: Sample
  /** The special options that it accepts. */
  readonly options?: ReadonlyArray<(typeof special)[number]>
  /** Present if width and height are configurable, with their maximum. */
  readonly size?: { readonly greatest: number }
  /** Default augmentation of training samples; "never" if samples are not images. */
  readonly augment: ReadonlyArray<AugmentationName> | "never"
  /** Whether samples are expensive enough for workers to be worthwhile: see `openInWorkers`. */
  readonly costly?: boolean
  readonly open: (options: OpenOptions) => Effect.Effect<Dataset, DatasetError, FileServices>
}
