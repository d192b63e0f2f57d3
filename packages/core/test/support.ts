/** What the tests share. */
import { expect } from "bun:test"
import { Effect, type Scope } from "effect"
import { encode } from "../src/expressions/code.ts"
import { leaf } from "../src/expressions/expression.ts"
import { type Backend, type Graph, Program, referenceKernels, Shape, Surrogate } from "../src/index.ts"
import * as Oracle from "../src/testing/conformance/oracle.ts"
import { Conformance } from "../src/testing/index.ts"
import { Tape } from "./tape.ts"
import { runCell } from "./unroll-cell.ts"

type Values = ReadonlyArray<number>

/** Operands as [shape, values]; values of another length repeat. */
export type Operands = Readonly<Record<string, readonly [shape: Values, values: Values]>>

/** Runs one kernel and gives all its operands as plain numbers. */
export const runKernel = (
  name: string,
  operands: Operands,
  attributes: Readonly<Record<string, unknown>> = {},
): Readonly<Record<string, ReadonlyArray<number>>> => {
  const bound = Object.fromEntries(
    Object.entries(operands).map(([operand, [shape, values]]) => [
      operand,
      { shape, data: Float32Array.from({ length: Shape.size(shape) }, (_, i) => values[i % values.length]!) },
    ]),
  )
  referenceKernels.get(name)!.run(bound, attributes)
  return Object.fromEntries(Object.entries(bound).map(([operand, { data }]) => [operand, [...data]]))
}

/** g and G of a surrogate as functions of numbers. */
export const functionsOf = (options: Surrogate.SurrogateOptions) => {
  const { slope, primitive } = Surrogate.expressionOf(options)
  const { code, places } = encode([slope(leaf("x0")), primitive(leaf("x0"))])
  const cell = { inputs: 1, parameters: 0, states: [], initial: [], code, next: [] }
  const at = (output: number | undefined) => (z: number) => {
    const tape = new Tape()
    const run = { tape, leaf: () => tape.number(z), isCut: () => false, near: () => {} }
    return tape.value(runCell({ ...cell, output: output as number }, run).y)
  }
  return { gradient: at(places[0]), primitive: at(places[1]) }
}

/** Nothing, for operands that a kernel writes or adds to. */
export const empty = (...shape: Values): readonly [Values, Values] => [shape, [0]]

/** The numbers up to float32's rounding of sums. */
export const expectNear = (actual: ArrayLike<number> | undefined, expected: Values, tolerance = 1e-6): void => {
  expect(actual).toHaveLength(expected.length)
  expected.forEach((value, i) => {
    const off = Math.abs(actual![i]! - value)
    if (!(off <= tolerance * Math.max(1, Math.abs(value)))) expect([...Array.from(actual!)]).toEqual([...expected])
  })
}

/** A network's buffer after every time step, on one sample that holds one number a step. */
export const trace = (graph: Graph.Graph, inputs: Values, parameters: Readonly<Record<string, Values>> = {}) => {
  const program = Effect.runSync(
    Program.compileInference(graph, {
      batchSize: 1,
      timeSteps: inputs.length,
      encoding: "frames",
      observe: graph.nodes.map(({ name }) => name),
    }),
  )
  const executable = Oracle.make(program)
  for (const [name, values] of Object.entries(parameters))
    Effect.runSync(executable.write(Program.bufferNames.parameter(name), Float32Array.from(values)))
  const rows: Record<string, Array<number>> = {}
  for (const call of Program.schedule(program, [])) {
    Effect.runSync(executable.run([call], Float32Array.from(inputs)))
    if (call.segment !== "forward") continue
    for (const { name, role } of program.buffers)
      if (role === "state" || role === "value") {
        rows[name] ??= []
        rows[name].push(...Effect.runSync(executable.read(name, call.t)))
      }
  }
  return rows
}

/** Runs an effect on the oracle. */
export const onOracle = <A, E>(effect: Effect.Effect<A, E, Backend | Scope.Scope>): Promise<A> =>
  Effect.runPromise(Effect.scoped(effect).pipe(Effect.provide(Conformance.oracle())))

/** The message of an effect's failure. */
export const failure = <A, E extends { readonly message: string }>(
  effect: Effect.Effect<A, E, Backend | Scope.Scope>,
): Promise<string> => onOracle(Effect.map(Effect.flip(effect), ({ message }) => message))
