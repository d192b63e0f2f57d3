/**
 * A kernel of core as a composition of TensorFlow.js kernels.
 *
 * It receives tensors for the operands that it reads and shapes for those that it creates, and returns the latter by name. It returns
 * gradients without accumulating them; the caller adds them to the existing ones.
 */
import type { KernelAttributes, KernelName } from "@spikeroute/core"
import type { Tensor, Workspace } from "../workspace.ts"

/** An operand that the composition creates. */
export interface Target {
  readonly shape: ReadonlyArray<number>
}

/** The operands that are read and created, and those of each that may be absent. */
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
