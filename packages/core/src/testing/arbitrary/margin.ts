/** The distance of a run from discontinuities. */
import { Effect, type Scope } from "effect"
import { Backend } from "../../backend/backend.ts"
import type { BackendError, OptionError, PolicyError, ProgramError, UnsupportedKernelError } from "../../errors.ts"
import * as Graph from "../../graph/index.ts"
import { type PoolAttributes, poolWindow } from "../../ops/average-pool.ts"
import type { ElementwiseAttributes } from "../../ops/elementwise.ts"
import { forEachInWindow } from "../../ops/window.ts"
import * as Policy from "../../policies/policy.ts"
import { bufferNames, compile, schedule } from "../../program/index.ts"
import { size } from "../../shape.ts"
import { distanceOf } from "./near.ts"
import { graphOf } from "./network.ts"
import { batchOf, keyOf, optionsOf, parametersOf } from "./numbers.ts"
import type { Workload } from "./workload.ts"

/**
 * The distance of a workload from discontinuities, on the current backend. The minimum of: the differences that cells compare (a
 * membrane and its threshold), the gap between a max pool's largest value and the next smaller one, and 1/500 of the smallest
 * deviation of a channel (batch norm divides rounding errors by it). Constant channels and equal values do not count.
 */
export const margin = (
  workload: Workload,
): Effect.Effect<
  number,
  OptionError | PolicyError | ProgramError | UnsupportedKernelError | BackendError,
  Backend | Scope.Scope
> =>
  Effect.gen(function* () {
    const graph = graphOf(workload)
    const nodes = new Map(graph.nodes.map((node) => [node.name, node]))
    const parameters = new Set(graph.parameters.map(({ name }) => name))
    /** The value whose memory a value uses, and the number of steps ago. */
    const source = (name: string, ago = 0): { readonly name: string; readonly ago: number } => {
      const node = nodes.get(name)
      const { steps } = (node?.op === "delay" ? node.attributes : { steps: 0 }) as { readonly steps: number }
      return node?.op === "flatten" || steps > 0 ? source(node?.inputs[0] as string, ago + steps) : { name, ago }
    }
    const bufferOf = (name: string): string =>
      name === Graph.inputName
        ? bufferNames.input
        : parameters.has(name)
          ? bufferNames.parameter(name)
          : bufferNames.value(name)
    const watched = graph.nodes.filter(({ op }) => op === "maxPool" || op === "batchNorm")
    const cells = graph.nodes
      .filter(({ op }) => op === "elementwise")
      .map(({ inputs, attributes: untyped }) => {
        const cell = untyped as unknown as ElementwiseAttributes
        const leaves = inputs.map(
          (name, i) => [i < cell.inputs ? `x${i}` : `p${i - cell.inputs}`, source(name)] as const,
        )
        return { leaves: new Map(leaves), distance: distanceOf(cell) }
      })
    const read = new Set([
      ...watched.map(({ inputs: [x = ""] }) => source(x).name),
      ...cells.flatMap(({ leaves }) => [...leaves.values()].map(({ name }) => name)),
    ])
    const observe = [...read].filter((name) => nodes.has(name))
    const program = yield* compile(graph, Policy.sltt, { ...optionsOf(workload), observe })
    const executable = yield* (yield* Backend).prepare(program)
    const { inputs, labels } = batchOf(graph, workload)
    for (const [name, values] of parametersOf(graph, workload))
      yield* executable.write(bufferNames.parameter(name), values)
    for (const { name, role, owner } of program.buffers) {
      const { hi, lo } = keyOf(owner ?? "", workload)
      if (role === "key") yield* executable.write(name, Uint32Array.of(hi, lo))
    }
    yield* executable.write(bufferNames.labels, labels)
    const frames = workload.encoding === "frames" ? inputs : undefined
    if (frames === undefined) yield* executable.write(bufferNames.input, inputs)

    const readValue = ({ name, ago }: ReturnType<typeof source>, t: number) =>
      t < ago
        ? Effect.succeed(new Float32Array(workload.batchSize * size(graph.types.get(name)?.shape ?? [])))
        : executable.read(bufferOf(name), t - ago)
    let least = Number.POSITIVE_INFINITY
    const every = Array.from({ length: workload.timeSteps }, (_, t) => t)
    for (const call of schedule(program, every)) {
      if (call.segment === "end") break
      yield* executable.run([call], frames)
      if (call.segment === "clear" || call.segment === "begin") continue
      for (const node of watched) {
        const values = yield* readValue(source(node.inputs[0] as string), call.t)
        const [from, to] = [node.inputs[0] as string, node.name].map((value) => [
          workload.batchSize,
          ...(graph.types.get(value)?.shape ?? []),
        ]) as [Array<number>, Array<number>]
        least = Math.min(
          least,
          node.op === "maxPool"
            ? leastGap(values, from, to, node.attributes as unknown as PoolAttributes)
            : leastDeviation(values, to.at(-1) as number) / 500,
        )
      }
      for (const { leaves, distance } of cells) {
        const values = new Map<string, Float32Array>()
        for (const [leaf, from] of leaves) values.set(leaf, yield* readValue(from, call.t))
        least = Math.min(
          least,
          distance((leaf) => values.get(leaf) as Float32Array),
        )
      }
    }
    return least
  })

/** The smallest gap between the largest value of a window and any smaller one. */
const leastGap = (
  values: Float32Array,
  from: ReadonlyArray<number>,
  to: ReadonlyArray<number>,
  attributes: PoolAttributes,
): number => {
  const windows = Array.from({ length: size(to) }, (): Array<number> => [])
  forEachInWindow(from, to, poolWindow(from.slice(1), attributes), (i, o) => windows[o]!.push(values[i]!))
  return Math.min(...windows.flatMap((own) => own.map((value) => Math.max(...own) - value)).filter((gap) => gap > 0))
}

/** The smallest deviation of a channel that is not constant. */
const leastDeviation = (values: Float32Array, channels: number): number => {
  const deviations = Array.from({ length: channels }, (_, c) => {
    const own = [...values].filter((_, i) => i % channels === c)
    const mean = own.reduce((sum, value) => sum + value, 0) / own.length
    return Math.sqrt(own.reduce((sum, value) => sum + (value - mean) ** 2, 0) / own.length)
  })
  return Math.min(...deviations.filter((deviation) => deviation > 1e-7))
}
