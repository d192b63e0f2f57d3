/**
 * A kernel of core as a composition of TensorFlow.js's kernels.
 *
 * It gets tensors for what it reads and shapes for what it makes, and returns what it made by operand. Gradients are returned
 * by themselves: who runs the composition adds them to what is there.
 */
import type { KernelAttributes, KernelName } from "@spikeroute/core"
import type { Tensor, Workspace } from "../workspace.ts"

/** An operand that the composition makes. */
export interface Target {
  readonly shape: ReadonlyArray<number>
}

/** Operands that are read and made, and those among them that may be absent. */
export type Operands<
  Read extends string,
  Made extends string,
  MaybeRead extends string = never,
  MaybeMade extends string = never,
> = { readonly [K in Read]: Tensor } & { readonly [K in Made]: Target } & {
  readonly [K in MaybeRead]?: Tensor | undefined
} & { readonly [K in MaybeMade]?: Target | undefined }

export type Result = Readonly<Record<string, Tensor | undefined>>

export type Composition<O, A = unknown> = (tf: Workspace, operands: O, attributes: A) => Result

// biome-ignore lint/suspicious/noExplicitAny: operands differ from kernel to kernel
export type AnyComposition<A = any> = Composition<any, A>

/** Compositions by core's names. */
export type Compositions = { readonly [N in KernelName]: AnyComposition<KernelAttributes[N]> }
