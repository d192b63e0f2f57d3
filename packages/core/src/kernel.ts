/**
 * A kernel: one instruction of a program.
 *
 * A kernel says what its operands are; its reference, what it costs and what it means: `run` is plain loops over float32 arrays.
 * It knows nothing of time, of policies or of where its operands lie in memory. Backends implement kernels by name and are held
 * against `run` by the conformance suite. A program is compiled without the references, and bundlers leave them out.
 */
import type { Shape } from "./shape.ts"
import type { Elements } from "./spikes.ts"

/**
 * How a kernel touches an operand. `update` reads and writes it. A `gradient` is added to or set, as the instruction says:
 * kernels always add, and who runs them clears first where it is to be set. `?` marks operands that may be absent.
 */
export type Access = "read" | "write" | "update" | "gradient" | "read?" | "write?" | "update?" | "gradient?"

/** A tensor as `run` sees it, batch axis first: spikes are unpacked to 0 and 1, raw words keep their bits. */
export interface Operand {
  readonly shape: Shape
  readonly data: Float32Array
}

/** The type of a tensor in memory, batch axis included. */
export interface TensorType {
  readonly shape: Shape
  readonly elements: Elements
}

export type Signature = Readonly<Record<string, Access>>

/** Operands by name, optional where the access ends in `?`. */
export type Bound<S extends Signature, A> = {
  readonly [K in keyof S as S[K] extends `${string}?` ? never : K]: A
} & {
  readonly [K in keyof S as S[K] extends `${string}?` ? K : never]?: A | undefined
}

/**
 * Scalar operations. `spikeOperations` are additions that an event-driven kernel makes only where a spike is: the figure is
 * that of an input that fires everywhere, to be multiplied by the firing rate.
 */
export interface Cost {
  readonly multiplications: number
  readonly additions: number
  readonly spikeOperations: number
}

export const noCost: Cost = { multiplications: 0, additions: 0, spikeOperations: 0 }

export const addCost = (a: Cost, b: Cost, times = 1): Cost => ({
  multiplications: a.multiplications + times * b.multiplications,
  additions: a.additions + times * b.additions,
  spikeOperations: a.spikeOperations + times * b.spikeOperations,
})

/** `count` multiply-accumulates against an operand: mere additions at spikes where that operand is spikes. */
export const accumulates = (count: number, input: TensorType): Cost =>
  input.elements === "spikes"
    ? { ...noCost, spikeOperations: count }
    : { multiplications: count, additions: count, spikeOperations: 0 }

/** Operations that are the same for each of `count` elements. */
export const elementwise = (count: number, multiplications: number, additions: number): Cost => ({
  multiplications: count * multiplications,
  additions: count * additions,
  spikeOperations: 0,
})

export interface Kernel<S extends Signature = Signature, A = unknown, N extends string = string> {
  readonly name: N
  readonly operands: S
  /** For the type system alone: no kernel has it. */
  readonly takes?: (attributes: A) => void
}

/** What a kernel costs, and what it computes. */
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

/** A kernel whose signature is not known to the type system: what tables and instructions hold. */
// biome-ignore lint/suspicious/noExplicitAny: signatures differ from kernel to kernel
export type AnyKernel = Kernel<any, any>

/** The implementation of such a kernel. */
// biome-ignore lint/suspicious/noExplicitAny: signatures differ from kernel to kernel
export type AnyImplementation = Implementation<any, any>

/** Such a kernel with its reference implementation. */
export type AnyReferenceKernel = AnyKernel & AnyImplementation
