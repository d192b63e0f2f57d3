/** What every data set is opened with. */
import type { Effect } from "effect"
import type { Dataset, Sample } from "../dataset.ts"
import type { DatasetError } from "../errors.ts"
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
}

/** A data set that can be opened. */
export interface Source {
  /** One line for a list of data sets. */
  readonly description: string
  /** What a sample is, known before any file is read. */
  readonly sample: Sample
  readonly open: (options: OpenOptions) => Effect.Effect<Dataset, DatasetError, FileServices>
}
