/** What the two directions of a lowered graph share: where instructions go, and what an op sees of its node. */
import type { Node } from "../../graph/graph.ts"
import type { checkTerms } from "../../losses/check.ts"
import type { toldBy } from "../../losses/told.ts"
import type { Context, Emit, Ref } from "../../op.ts"
import { type Instruction, type SegmentName, segmentNames } from "../program.ts"
import type { Analysis } from "./analysis.ts"
import type { Memory, Scope } from "./memory.ts"
import type { Request } from "./request.ts"

/** A graph that is being lowered. */
export interface Lowering {
  readonly request: Request
  readonly analysis: Analysis
  readonly memory: Memory
  readonly segments: Record<SegmentName, Array<Instruction>>
  /** Of a loss that is a sum of terms. */
  readonly terms?: Terms
}

/** The terms of a loss in the steps, and what a batch tells them. */
export interface Terms {
  readonly check: typeof checkTerms
  readonly told: typeof toldBy
  readonly forward: (lowering: Lowering, scope: Scope, segment: SegmentName) => void
  /** `gradient` is where the gradient of a value goes, `value` a value as the segment finds it. */
  readonly backward: (
    lowering: Lowering,
    scope: Scope,
    segment: SegmentName,
    value: (value: string) => Ref,
    gradient: (value: string) => Ref | undefined,
  ) => void
  /** Before a batch the terms are 0, and before a run what it reduces. */
  readonly begin: (lowering: Lowering) => void
  /** The terms over the whole run, and the gradients of what they take. */
  readonly measure: (lowering: Lowering) => void
}

export const emptySegments = (): Lowering["segments"] =>
  Object.fromEntries(segmentNames.map((name) => [name, []])) as unknown as Lowering["segments"]

/** Emits instructions of a node to the end of a segment. */
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

/** What both directions of a node's op see, for instructions of a scope. */
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

/** The number of terms of which losses and firing rates are the mean: one for each time step of each micro-batch of each share. */
export const termsOf = ({ timeSteps, microBatches, share }: Request): number =>
  timeSteps * microBatches * (share?.count ?? 1)
