/** Neurons with additional state: derivatives carried forward in time, and values computed from them. */
import { type Cell, unfold } from "../../expressions/cell.ts"
import { encode } from "../../expressions/code.ts"
import { elementwiseBackward, elementwiseForward } from "../../expressions/elementwise.ts"
import { type Expression, leaf } from "../../expressions/expression.ts"
import { changed, linearize } from "../../expressions/tangents.ts"
import type { Node } from "../../graph/graph.ts"
import { opOf } from "../../graph/nodes.ts"
import type { AnyOp, Emit, Forward, Ref, State } from "../../op.ts"

/** The cell of a node, if it is elementwise. */
export const cellOf = (node: Node): Cell | undefined => opOf(node).cell?.(node.attributes)

/** The state of a tracked node. No gradient flows back through it. */
export const trackedState = (rest: ReadonlyArray<number>, shape?: State["shape"]): (() => State) => {
  // Unused: training records no states.
  const read: State["read"] = () => ({ code: [["leaf", "before.0"]], y: 0, firstParameter: 0 })
  const state = { rest, edges: [], kept: true, keptBefore: false, decay: undefined, planes: rest.length, read }
  return () => (shape ? { ...state, shape } : state)
}

const numbered = (letter: string, refs: ReadonlyArray<Ref | undefined>) =>
  Object.fromEntries(refs.map((ref, i) => [`${letter}${i}`, ref]))

/** The leaf of a cell for an input of its node. */
const leafOf = (cell: Cell, i: number): string => (i < cell.inputs ? `x${i}` : `p${i - cell.inputs}`)

/** Neurons that track derivatives. */
export interface TrackedNeurons {
  readonly op: AnyOp
  /** Index of the first plane of `further` values. */
  readonly first: number
}

/**
 * Neurons that track derivatives. The planes of their state are the cell's stored values, then the tangents of these with respect
 * to each direction, then further values of a step.
 *
 * @param directions indices of the node's inputs to differentiate with respect to
 * @param further values computed from the tangents of the output, stored from plane `first` on
 */
export const trackedNeurons = (
  op: AnyOp,
  cell: Cell,
  isCut: (edge: string) => boolean,
  directions: ReadonlyArray<number>,
  further: (outputs: ReadonlyArray<Expression>, first: number) => ReadonlyArray<Expression>,
): TrackedNeurons => {
  const { stored, output, rest, encoded } = unfold(cell)
  const tangents = directions.map((i, d) => {
    const carried = stored.map((_, l) => leaf(`before.${stored.length * (1 + d) + l}`))
    const { stored: slopes, output: slope } = linearize(cell, leafOf(cell, i), isCut)
    return { stored: slopes.map((each) => changed(each, carried)), output: changed(slope, carried) }
  })
  const first = stored.length * (1 + directions.length)
  const planes = [
    ...stored,
    ...tangents.flatMap((each) => each.stored),
    ...further(
      tangents.map((each) => each.output),
      first,
    ),
  ]
  const { code, places } = encoded([...planes, output])
  const forward = { code, state: places.slice(0, -1), y: places.at(-1) as number }
  const inputs = (count: number, from: number, input: (i: number) => Ref) =>
    Array.from({ length: count }, (_, i) => input(from + i))
  return {
    first,
    op: {
      ...op,
      state: trackedState([...rest, ...planes.slice(stored.length).map(() => 0)]),
      forward: ({ emit, input, output: y, state }: Forward<unknown>) => {
        const { now, before } = state()
        const x = numbered("x", inputs(cell.inputs, 0, input))
        const p = numbered("p", inputs(cell.parameters, cell.inputs, input))
        emit(elementwiseForward, { ...x, ...p, before, state: now, y }, forward)
      },
    },
  }
}

/** Adds the gradient of an output, times an expression of the state, to the gradient of an input or (summed) of a parameter. */
export const addThrough = (
  emit: Emit,
  { state, dy, slope }: { readonly state: Ref; readonly dy: Ref; readonly slope: Expression },
  to: Readonly<Partial<Record<"dx0" | "dp0", Ref>>>,
): void => {
  const { code, places } = encode([slope.times(leaf("dy"))])
  emit(
    elementwiseBackward,
    { state, dy, ...to },
    { code, carry: [], dx: to.dx0 ? places : [], dp: to.dp0 ? places : [] },
  )
}
