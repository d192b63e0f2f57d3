/**
 * A term of a loss: what it measures, and its value and gradient as instructions.
 *
 * A term measures one value of the graph. Over time, it is the mean over steps of a function of each `step`, or a function of the
 * `sum`, the `mean` or the elementwise `max` over time, or of the `last` step. Sums, means and maxima are known only after the last
 * forward step.
 */
import type { Schema } from "effect"
import type { Expression } from "../expressions/expression.ts"
import type { Emit, Ref } from "../op.ts"
import { oneOf } from "../options.ts"
import type { Terms } from "../program/lower/emit.ts"

/** How a term combines the values of all time steps. */
export type Over = "step" | "sum" | "mean" | "last" | "max"

/** The Schema of {@link Over}. */
export const OverSchema: Schema.Codec<Over> = oneOf(["step", "sum", "mean", "last", "max"])

/** The operands of a term, and the buffers for its value and gradient. */
export interface TermContext {
  readonly emit: Emit
  /** Number of elements that a mean is over: elements of the value × batch size × steps that the term measures. */
  readonly elements: number
  /** Number of time steps that the term measures one by one, and number of time steps of the run. */
  readonly timeSteps: number
  readonly runSteps: number
  /** Number of elements of the value in a micro-batch. */
  readonly count: number
  /** The value at this step, or reduced over time. Call it once. */
  readonly output: () => Ref
  readonly labels: () => Ref
  /** The weight of each sample in the loss. */
  readonly weights: () => Ref
  readonly targets: () => Ref
  /** Numbers per element that depend on the sample's class; see {@link Term.row}. */
  readonly rows: () => Ref
  /** The term's value, one number, to add to. */
  readonly value: Ref
  /** A buffer for one number, the firing rate at this step. */
  readonly rate: () => Ref
  /** 1 at steps that count, 0 at others: an expression of `p0`, the number of the step, counted from 1. */
  readonly counts: Expression
  readonly time: () => Ref
  /** The buffer for the gradient; `undefined` if it is not wanted. Call it once per instruction that adds to it. */
  readonly gradient: () => Ref | undefined
}

/** The kind of a term's targets. */
export type Targets = "classes" | "numbers" | "none"

/** The arguments of {@link Term.row}: the sample's class, `undefined` if the sample does not count. */
export interface OfClass {
  readonly label: number | undefined
  /** The factor that makes the shares of all samples and steps sum to 1. */
  readonly scale: number
  readonly timeSteps: number
}

/** A kind of term, with attributes of type `A`. */
export interface Term<A> {
  readonly schema: Schema.Codec<A>
  /** How terms become instructions. A property of the term, so that bundles without terms do not contain it. */
  readonly lowering: Terms
  readonly over: (attributes: A) => Over
  /**
   * Name of the output or node that the term measures; `undefined` for the first output, `true` for every layer of spiking neurons.
   */
  readonly at: (attributes: A) => string | true | undefined
  readonly targets: (attributes: A) => Targets
  /** The share of a sample of a class in the loss, before normalisation to a sum of 1. Without it, samples cannot be excluded. */
  readonly share?: (attributes: A, label: number) => number
  /** The factor of such a sample in the loss. Default: its share. */
  readonly factor?: (attributes: A, label: number) => number
  /** Whether the term uses numbers per element of a sample, and the function that fills them. */
  readonly rows?: (attributes: A) => boolean
  readonly row?: (attributes: A, ofClass: OfClass, out: Float32Array) => void
  /** Whether the term is at layers of spiking neurons only. */
  readonly ofLayers?: (attributes: A) => boolean
  /** The term is a function of whole batches, which cannot be split into micro-batches. */
  readonly mixesSamples?: true
  /**
   * Adds to the value. If the step is `replayed`, the value has been added before, and only what the gradient needs is recomputed.
   */
  readonly forward: (context: TermContext, attributes: A, replayed: boolean) => void
  readonly backward: (context: TermContext, attributes: A) => void
}

/** A term's attributes with its kind. */
export type Made<A> = A & { readonly kind: Term<A> }

/** The kind of a term of unknown attributes. */
// biome-ignore lint/suspicious/noExplicitAny: attributes differ from term to term
export const kindOf = ({ kind }: { readonly kind: Term<any> }): Term<any> => kind
