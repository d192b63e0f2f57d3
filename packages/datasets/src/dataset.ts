/**
 * What a data set is to the rest of Spikeroute: a name, the shape of a sample, and two splits that write samples into
 * the buffers they are given.
 */
import type * as Key from "@spikeroute/core/random"
import type { Effect } from "effect"
import type { DatasetError } from "./errors.ts"

/**
 * What a network is trained to predict: one class per sample; one class per time step, −1 for steps that do not count; real numbers per
 * sample; real numbers per time step.
 */
export type Targets = "class" | "classPerStep" | "numbers" | "numbersPerStep"

/** What a sample is. */
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

/** The samples to train on, or those to test on. */
export interface Split {
  readonly size: number
  /** The class of sample `index`, from 0; −1 where its targets are others. */
  readonly label: (index: number) => number
  /**
   * Writes targets other than one class a sample into `out`: of classes [timeSteps, samples.length], of numbers [samples.length, classes] or
   * [timeSteps, samples.length, classes].
   */
  readonly writeTargets?: (samples: ArrayLike<number>, out: Float32Array) => void
  /**
   * Writes the samples at the given positions into `out`, which holds zeros:
   * static: [samples.length, ...shape]; frames: [timeSteps, samples.length, ...shape].
   *
   * A whole batch at once, because an Effect for each sample would cost more than most samples do.
   *
   * @param keys drive augmentation: sample i draws from `keys[i]` alone, so that a batch may be made piece by piece.
   *   Without keys nothing is augmented.
   */
  readonly write: (
    samples: ArrayLike<number>,
    keys: ReadonlyArray<Key.Key> | undefined,
    out: Float32Array,
  ) => Effect.Effect<void, DatasetError>
}

/** Samples of one training or test step. The buffers are the batch's own: nothing writes to them again. */
export interface Batch {
  /** static: [N, ...shape]; frames: [T, N, ...shape] */
  readonly inputs: Float32Array
  /** The classes, [N], or [T, N] where there is one for each step; empty where targets are numbers. */
  readonly labels: Float32Array
  /** Real numbers, [N, classes] or [T, N, classes], where targets are such. */
  readonly targets?: Float32Array
  /** Samples that count; the rest of a last, padded batch repeats earlier samples and must be ignored. */
  readonly size: number
  /** Which batch of the epoch, from 0. */
  readonly index: number
}
