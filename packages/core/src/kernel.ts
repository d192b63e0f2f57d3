/**
 * A kernel: the operation of one instruction of a program.
 *
 * A kernel declares its operands; its reference defines its cost and its result: `run` is plain loops over float32 arrays. A kernel
 * knows nothing about time, policies, or the memory layout of its operands. Backends implement kernels by name, and the conformance
 * suite compares them with `run`. The compiler does not need the references, so bundlers leave them out.
 */
import type { Shape } from "./shape.ts"
import type { Elements } from "./spikes.ts"

/**
 * How a kernel accesses an operand. `update` reads and writes it. A `gradient` is added to or set, depending on the instruction:
 * kernels always add, and whoever runs them clears the operand first if it is to be set. `?` marks optional operands.
 */
export type Access = "read" | "write" | "update" | "gradient" | "read?" | "write?" | "update?" | "gradient?"

/** A tensor as `run` receives it, batch axis first. Spikes are unpacked to 0 and 1; raw words keep their bits. */
export interface Operand {
  readonly shape: Shape
  readonly data: Float32Array
}

/** The type of a tensor in memory, batch axis included. */
export interface TensorType {
  readonly shape: Shape
  readonly elements: Elements
}

/** The operands of a kernel: name and access. */
export type Signature = Readonly<Record<string, Access>>

/** Operands by name; optional if their access ends in `?`. */
export type Bound<S extends Signature, A> = {
  readonly [K in keyof S as S[K] extends `${string}?` ? never : K]: A
} & {
  readonly [K in keyof S as S[K] extends `${string}?` ? K : never]?: A | undefined
}

/**
 * Numbers of scalar operations. `spikeOperations` are additions that an event-driven kernel performs only for spikes; the number is
 * for an input in which every neuron fires, to be multiplied by the firing rate.
 */
export interface Cost {
  readonly multiplications: number
  readonly additions: number
  readonly spikeOperations: number
}

/** No operations. */
export const noCost: Cost = { multiplications: 0, additions: 0, spikeOperations: 0 }

/** a + times·b */
export const addCost = (a: Cost, b: Cost, times = 1): Cost => ({
  multiplications: a.multiplications + times * b.multiplications,
  additions: a.additions + times * b.additions,
  spikeOperations: a.spikeOperations + times * b.spikeOperations,
})

/** The cost of `count` multiply-accumulates with an operand: only additions at spikes if the operand is spikes. */
export const accumulates = (count: number, input: TensorType): Cost =>
  input.elements === "spikes"
    ? { ...noCost, spikeOperations: count }
    : { multiplications: count, additions: count, spikeOperations: 0 }

/** The cost of the same operations on each of `count` elements. */
export const elementwise = (count: number, multiplications: number, additions: number): Cost => ({
  multiplications: count * multiplications,
  additions: count * additions,
  spikeOperations: 0,
})

/** A kernel's declaration. */
export interface Kernel<S extends Signature = Signature, A = unknown, N extends string = string> {
  readonly name: N
  readonly operands: S
  /** For type inference only; never set. */
  readonly takes?: (attributes: A) => void
}

/** A kernel's cost and result. */
export interface Implementation<S extends Signature, A> {
  readonly cost: (types: Bound<S, TensorType>, attributes: A) => Cost
  readonly run: (operands: Bound<S, Operand>, attributes: A) => void
}

/** The reference implementation of a kernel of type `K`. */
export type Reference<K> = K extends Kernel<infer S, infer A> ? Implementation<S, A> : never

/** Declares a kernel, whose attributes are of type `A`. */
export const make =
  <A = unknown>() =>
  <const S extends Signature, const N extends string>(kernel: Kernel<S, A, N>): Kernel<S, A, N> =>
    kernel

/** A kernel of unknown signature, for tables and instructions. */
// biome-ignore lint/suspicious/noExplicitAny: signatures differ from kernel to kernel
export type AnyKernel = Kernel<any, any>

/** The implementation of a kernel of unknown signature. */
// biome-ignore lint/suspicious/noExplicitAny: signatures differ from kernel to kernel
export type AnyImplementation = Implementation<any, any>

/** A kernel of unknown signature with its reference implementation. */
export type AnyReferenceKernel = AnyKernel & AnyImplementation
