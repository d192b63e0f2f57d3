/**
 * The interface of a data set: a name, the shape of a sample, and two splits that write samples into caller-supplied buffers.
 */
import type * as Key from "@spikeroute/core/random"
import type { Effect } from "effect"
import type { DatasetError } from "./errors.ts"

/**
 * The kind of prediction targets: one class per sample; one class per time step, −1 for steps that the loss ignores; real numbers
 * per sample; real numbers per time step.
 */
export type Targets = "class" | "classPerStep" | "numbers" | "numbersPerStep"

/** Description of a sample. */
export interface Sample {
  /** Shape of one sample at one time step, channels last: [28, 28, 1], [34, 34, 2]. */
  readonly shape: ReadonlyArray<number>
  /** Number of classes, or of real numbers to predict. */
  readonly classes: number
  /** Default "class". */
  readonly targets?: Targets
  readonly classNames?: ReadonlyArray<string>
  /** "static": one image shown at every step; "frames": one frame for each time step. */
  readonly encoding: "static" | "frames"
}

/** A data set opened for a number of time steps. */
export interface Dataset extends Sample {
  readonly name: string
  readonly train: Split
  readonly test: Split
}

/** The training samples or the test samples. */
export interface Split {
  readonly size: number
  /** The class of sample `index`, from 0; −1 if the targets are not one class per sample. */
  readonly label: (index: number) => number
  /**
   * Writes targets other than one class per sample into `out`: classes as [timeSteps, samples.length], numbers as
   * [samples.length, classes] or [timeSteps, samples.length, classes].
   */
  readonly writeTargets?: (samples: ArrayLike<number>, out: Float32Array) => void
  /**
   * Writes the samples with the given indices into `out`, which must hold zeros:
   * static: [samples.length, ...shape]; frames: [timeSteps, samples.length, ...shape].
   *
   * It writes a whole batch, because one Effect per sample would cost more than most samples do.
   *
   * @param keys augmentation keys: sample i depends only on `keys[i]`, so that a batch may be written in pieces.
   *   Without keys, samples are not augmented.
   */
  readonly write: (
    samples: ArrayLike<number>,
    keys: ReadonlyArray<Key.Key> | undefined,
    out: Float32Array,
  ) => Effect.Effect<void, DatasetError>
}

/** Samples of one training or test step. The batch owns its buffers; they are not written again. */
export interface Batch {
  /** static: [N, ...shape]; frames: [T, N, ...shape] */
  readonly inputs: Float32Array
  /** Classes: [N], or [T, N] with one class per step; empty if the targets are numbers. */
  readonly labels: Float32Array
  /** Real-valued targets, [N, classes] or [T, N, classes]; absent if the targets are classes. */
  readonly targets?: Float32Array
  /** Number of valid samples; the rest of a padded last batch repeats earlier samples and must be ignored. */
  readonly size: number
  /** Index of the batch within the epoch, from 0. */
  readonly index: number
}
