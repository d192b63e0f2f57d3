/**
 * A term of a loss: what it is a function of, its value and its gradient, as instructions.
 *
 * A term is at one value of the graph, and over time in one of these ways: the mean over steps of a function of each `step`, or a function
 * of the `sum`, the `mean` or, element by element, the `max` over time, or of the `last` step. Sums, means and maxima are known only
 * behind the last forward step.
 */
import type { Schema } from "effect"
import type { Expression } from "../expressions/expression.ts"
import type { Emit, Ref } from "../op.ts"
import { oneOf } from "../options.ts"
import type { Terms } from "../program/lower/emit.ts"

/** How a term takes the values of all time steps. */
export type Over = "step" | "sum" | "mean" | "last" | "max"

export const OverSchema: Schema.Codec<Over> = oneOf(["step", "sum", "mean", "last", "max"])

/** Where a term finds what it is a function of, and where it puts its value and its gradient. */
export interface TermContext {
  readonly emit: Emit
  /** The number of elements that a mean is taken over: those of the value, times the batch, times the steps that the term sees. */
  readonly elements: number
  /** The time steps that the term sees one by one, and those of the run. */
  readonly timeSteps: number
  readonly runSteps: number
  /** The elements of the value in a micro-batch. */
  readonly count: number
  /** The value at this step, or reduced over time. To be called once. */
  readonly output: () => Ref
  readonly labels: () => Ref
  /** The share of each sample in the loss. */
  readonly weights: () => Ref
  readonly targets: () => Ref
  /** Numbers for each element that follow from its sample's class: see {@link Term.row}. */
  readonly rows: () => Ref
  /** The term's value, one number, to be added to. */
  readonly value: Ref
  /** A number for a firing rate at this step. */
  readonly rate: () => Ref
  /** 1 at the steps that count and 0 at others: an expression of `p0`, the number of the step counted from 1. */
  readonly counts: Expression
  readonly time: () => Ref
  /** Where the gradient goes, if it is wanted. To be called once for each instruction that adds to it. */
  readonly gradient: () => Ref | undefined
}

/** What the targets of a term are. */
export type Targets = "classes" | "numbers" | "none"

/** A sample's class as {@link Term.row} sees it: none where the sample does not count. */
export interface OfClass {
  readonly label: number | undefined
  /** The factor by which the shares of all samples and steps come to 1. */
  readonly scale: number
  readonly timeSteps: number
}

/** A kind of term, with attributes of type `A`. */
export interface Term<A> {
  readonly schema: Schema.Codec<A>
  /** How terms become instructions: a program whose loss has none does without it, and so does its bundle. */
  readonly lowering: Terms
  readonly over: (attributes: A) => Over
  /** The output or node that the term is at, the first output if it names none; or `true`: each layer of spiking neurons. */
  readonly at: (attributes: A) => string | true | undefined
  readonly targets: (attributes: A) => Targets
  /** What a sample of a class counts in the loss, before all are brought to a sum of 1. Without it, samples cannot be left out. */
  readonly share?: (attributes: A, label: number) => number
  /** The factor of such a sample in the loss; its share unless given. */
  readonly factor?: (attributes: A, label: number) => number
  /** Whether it takes numbers for each element of a sample, and what fills them. */
  readonly rows?: (attributes: A) => boolean
  readonly row?: (attributes: A, ofClass: OfClass, out: Float32Array) => void
  /** It is a function of whole batches, which cannot be cut into micro-batches. */
  readonly mixesSamples?: true
  /** Adds to the value; where the step is `replayed` it has been added, and only what the gradient needs is computed again. */
  readonly forward: (context: TermContext, attributes: A, replayed: boolean) => void
  readonly backward: (context: TermContext, attributes: A) => void
}

/** A term as data, with what its kind is. */
export type Made<A> = A & { readonly kind: Term<A> }

/** A kind of term whose attributes are not known to the type system. */
// biome-ignore lint/suspicious/noExplicitAny: attributes differ from term to term
export const kindOf = ({ kind }: { readonly kind: Term<any> }): Term<any> => kind
