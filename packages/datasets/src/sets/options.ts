/** What every data set is opened with. */
import type { Effect } from "effect"
import type { AugmentationName } from "../augmentations.ts"
import type { Dataset, Sample } from "../dataset.ts"
import type { DatasetError } from "../errors.ts"
import type { Column } from "../events/column-names.ts"
import type { Events } from "../events/events.ts"
import type { Framing } from "../events/split.ts"
import type { FileServices, LocateOptions } from "../files/locate.ts"
import type { Transform } from "../transform.ts"

/** The settings of `open`; each data set reads those that concern it. */
export interface OpenOptions extends LocateOptions {
  /** How many frames event data are cut into. */
  readonly timeSteps: number
  /** Seed of data that are generated. Default 0. */
  readonly seed?: number | undefined
  /** How events are cut into frames. The data set decides unless told. */
  readonly framing?: Framing | undefined
  /** Augmentation of the training events, where a batch has a key. */
  readonly eventTransform?: Transform<Events> | undefined
  /** Augmentation of the training images or frames, in this order, where a batch has a key. The data set decides unless told. */
  readonly augment?: ReadonlyArray<AugmentationName> | undefined
  /** Fraction of the samples used for the test, drawn by the seed, if the files have no split. Default 0.2. */
  readonly split?: number | undefined
  /** Width and height of the event camera's sensor, if the files do not state it. */
  readonly sensor?: ReadonlyArray<number> | undefined
  /** Order of the columns of event arrays that do not name them. */
  readonly columns?: ReadonlyArray<Column> | undefined
  /** Arrays: whether axis 1 is time ("frames"). By default it is if there are 3 or 5 axes. */
  readonly encoding?: Sample["encoding"] | undefined
  /** Seconds to which audio recordings are cut or padded. Default 1. */
  readonly duration?: number | undefined
  /** Width and height that samples are brought to, for data sets that have a `size`. The data set decides unless told. */
  readonly size?: number | undefined
}

/** Options that only some data sets take. */
export const special = ["split", "sensor", "columns", "encoding", "duration"] as const

/** A data set that can be opened. */
export interface Source {
  /** One line for a list of data sets. */
  readonly description: string
  /** What a sample is, known before any file is read, at the usual size; absent where only the files say it. */
  readonly sample?: Sample
  /** Which of the special options it takes. */
  readonly options?: ReadonlyArray<(typeof special)[number]>
  /** Where people may choose another width and height: the greatest, if there is one. */
  readonly size?: { readonly greatest: number }
  /** The augmentations of training samples, unless told otherwise; "never" where a sample is no image. */
  readonly augment: ReadonlyArray<AugmentationName> | "never"
  /** Making a sample costs so much that workers pay: see `openInWorkers`. */
  readonly costly?: boolean
  readonly open: (options: OpenOptions) => Effect.Effect<Dataset, DatasetError, FileServices>
}
