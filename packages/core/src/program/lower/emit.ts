/** The common part of both directions: emitting instructions, and the context of an op. */
import type { Node } from "../../graph/graph.ts"
import type { checkTerms } from "../../losses/check.ts"
import type { toldBy } from "../../losses/told.ts"
import type { Context, Emit, Ref } from "../../op.ts"
import { type Instruction, type SegmentName, segmentNames } from "../program.ts"
import type { Analysis } from "./analysis.ts"
import type { Memory, Scope } from "./memory.ts"
import type { Request } from "./request.ts"

/** A graph during lowering. */
export interface Lowering {
  readonly request: Request
  readonly analysis: Analysis
  readonly memory: Memory
  readonly segments: Record<SegmentName, Array<Instruction>>
  /** Present if the loss is a sum of terms. */
  readonly terms?: Terms
}

/** The lowering of a loss's terms, and the check of their targets. */
export interface Terms {
  readonly check: typeof checkTerms
  readonly told: typeof toldBy
  readonly forward: (lowering: Lowering, scope: Scope, segment: SegmentName) => void
  /** `gradient` returns the buffer for the gradient of a value, `value` a value as the segment finds it. */
  readonly backward: (
    lowering: Lowering,
    scope: Scope,
    segment: SegmentName,
    value: (value: string) => Ref,
    gradient: (value: string) => Ref | undefined,
  ) => void
  /** Clears the terms before a batch, and the reductions before a run. */
  readonly begin: (lowering: Lowering) => void
  /** Emits the terms over the whole run, and the gradients of their values. */
  readonly measure: (lowering: Lowering) => void
}

/** Segments without instructions. */
export const emptySegments = (): Lowering["segments"] =>
  Object.fromEntries(segmentNames.map((name) => [name, []])) as unknown as Lowering["segments"]

/** Appends instructions of a node to a segment. */
export const emitter =
  ({ segments }: Lowering, segment: SegmentName, node: string, phase: Instruction["phase"]): Emit =>
  (kernel, operands, ...[attributes]) => {
    const present = Object.entries<Ref | undefined>(operands).filter(([, ref]) => ref !== undefined)
    segments[segment].push({
      kernel: kernel.name,
      operands: Object.fromEntries(present) as Instruction["operands"],
      attributes: { ...(attributes as object | undefined) },
      node,
      phase,
    })
  }

/** The context of a node's op in both directions, for instructions of a scope. */
export const contextOf = (
  { request, analysis, memory }: Lowering,
  node: Node,
  scope: Scope,
  emit: Emit,
): Context<unknown> => ({
  attributes: node.attributes,
  mode: request.mode,
  timeSteps: request.timeSteps,
  emit,
  arity: node.inputs.length,
  inputType: (i) => analysis.typeOf(node.inputs[i] as string),
  input: (i) => memory.value(node.inputs[i] as string, scope),
  output: memory.value(node.name, scope),
  residual: (part, shape, elements) => memory.residual(node, scope, part, shape, elements),
  valueAt: (value) => memory.value(value, scope),
  stateOf: memory.state,
  state: () => {
    const now = memory.state(node)
    return { now, before: { ...now, lag: 1 } }
  },
})

/** The number of terms that losses and firing rates average: one per time step, micro-batch and share. */
export const termsOf = ({ timeSteps, microBatches, share }: Request): number =>
  timeSteps * microBatches * (share?.count ?? 1)
