/**
 * A term of a loss: what it is a function of, its value and its gradient, as instructions.
 *
 * A term over `step` is a mean over all time steps; one over `mean` is a function of the read-out's mean over time, and is known only
 * behind the last forward step.
 */
import type { Schema } from "effect"
import type { Emit, Ref } from "../op.ts"
import type { Terms } from "../program/lower/emit.ts"

export type Over = "step" | "mean"

/** Where a term finds what it is a function of, and where it puts its value and its gradient. */
export interface TermContext {
  readonly emit: Emit
  /** Means of so many elements are taken: those of the read-out, over a whole batch and the time steps that the term sees. */
  readonly elements: number
  /** The time steps that the term sees one by one. */
  readonly timeSteps: number
  /** The read-out, of this step or its mean. */
  readonly output: Ref
  readonly labels: Ref | undefined
  /** The share of each sample in the loss. */
  readonly weights: () => Ref
  readonly targets: () => Ref
  /** The term's value, one number, to be added to. */
  readonly value: Ref
  /** Layers of spiking neurons, each with a number for its firing rate at this step. */
  readonly layers: ReadonlyArray<{
    readonly neurons: number
    readonly spikes: () => Ref
    readonly rate: () => Ref
    readonly gradient: () => Ref | undefined
  }>
  /** Where the gradient of the read-out goes, if it is wanted. To be called once for each instruction that adds to it. */
  readonly gradient: () => Ref | undefined
}

/** What the targets of a term are. */
export type Targets = "classes" | "numbers" | "none"

/** A kind of term, with attributes of type `A`. */
export interface Term<A> {
  readonly schema: Schema.Codec<A>
  /** How terms become instructions: a program whose loss has none does without it, and so does its bundle. */
  readonly lowering: Terms
  readonly over: (attributes: A) => Over
  readonly targets: (attributes: A) => Targets
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
