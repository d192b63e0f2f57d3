/** The generator reaches everything, and what it makes is worth testing: properties of silent networks would say nothing. */
import { expect, test } from "bun:test"
import * as fc from "fast-check"
import { binaryOps, unaryOps } from "../../src/expressions/expression.ts"
import { edgesOf, spikingLayers } from "../../src/graph/nodes.ts"
import { Graph, Policy, Surrogate } from "../../src/index.ts"
import type { ElementwiseAttributes } from "../../src/ops/elementwise.ts"
import { ops } from "../../src/ops/index.ts"
import { Arbitrary } from "../../src/testing/index.ts"
import { deviation, onTape, runs, sync, train } from "./harness.ts"

const sample = fc.sample(Arbitrary.workload(), { seed: 1, numRuns: 400 })

test("every op, surrogate and reset occurs, with images and vectors, static and with frames", () => {
  const nodes = sample.flatMap((workload) => Arbitrary.graphOf(workload).nodes)
  expect([...new Set(nodes.map(({ op }) => op))].sort()).toEqual([...ops.keys()].sort())
  const text = JSON.stringify(sample)
  for (const name of Surrogate.surrogateNames) expect(text).toContain(`"surrogate":{"name":"${name}"`)
  for (const reset of ["hard", "none", "soft"]) expect(text).toContain(`"reset":"${reset}"`)
  const twice = sample.filter((workload) => {
    const { nodes } = Arbitrary.graphOf(workload)
    return nodes.some(
      ({ inputs: [x] }) => x !== undefined && nodes.filter(({ inputs }) => inputs.includes(x)).length > 1,
    )
  })
  expect(twice.length).toBeGreaterThan(50)
  for (const [what, count] of [
    ["images", sample.filter(({ input }) => input.length === 3).length],
    ["rows", sample.filter(({ input }) => input.length === 1).length],
    ["static", sample.filter(({ encoding }) => encoding === "static").length],
    ["frames", sample.filter(({ encoding }) => encoding === "frames").length],
    ["several neurons", sample.filter((workload) => countNeurons(workload) >= 2).length],
  ] as const)
    expect([what, count > 50]).toEqual([what, true])
})

const countNeurons = (workload: Arbitrary.Workload): number => spikingLayers(Arbitrary.graphOf(workload)).length

test("cells with all numbers of states, inputs and parameters occur, and all kinds of temporal edges", () => {
  const graphs = sample.map((workload) => Arbitrary.graphOf(workload))
  const cells = graphs.flatMap(({ nodes }) =>
    nodes
      .filter(({ op }) => op === "elementwise")
      .map(({ attributes }) => attributes as unknown as ElementwiseAttributes),
  )
  const numbers = (of: (cell: ElementwiseAttributes) => number) => new Set(cells.map(of))
  expect(numbers(({ states }) => states.length).isSupersetOf(new Set([0, 1, 2, 3]))).toBe(true)
  expect(numbers(({ inputs }) => inputs)).toEqual(new Set([1, 2, 3]))
  expect(numbers(({ parameters }) => parameters).isSupersetOf(new Set([0, 1, 2, 3]))).toBe(true)
  const operations = new Set(cells.flatMap(({ code }) => code.map(([op]) => op)))
  expect([...unaryOps, ...binaryOps, "select", "fire", "route"].filter((op) => !operations.has(op as "fire"))).toEqual(
    [],
  )
  const learnt = graphs.flatMap(({ parameters }) => parameters.filter(({ name }) => /cell|Lif/.test(name)))
  for (const role of ["weight", "constant"])
    for (const axes of role === "weight" ? [0, 1, 3] : [1, 3])
      expect([role, axes, learnt.some((each) => each.role === role && each.shape.length === axes)]).toEqual([
        role,
        axes,
        true,
      ])
  const edges = graphs.map((graph) => edgesOf(graph).all)
  for (const edge of ["membrane", "reset", "current", "adaptation", "spike", "inner", "delay", "recurrent", "own"])
    expect([edge, edges.filter((own) => own.has(edge)).length > 10]).toEqual([edge, true])
  // An edge that leads back from behind, and a delay of a delay.
  const at = ({ nodes }: Graph.Graph, name: string) => nodes.findIndex((node) => node.name === name)
  const lags = (graph: Graph.Graph) => graph.nodes.filter(({ op }) => op === "delay")
  const back = graphs.filter((graph) =>
    lags(graph).some(({ name, inputs: [x = ""] }) => at(graph, x) > at(graph, name)),
  )
  const twice = graphs.filter((graph) =>
    lags(graph).some(({ inputs: [x = ""] }) => graph.nodes[at(graph, x)]?.op === "delay"),
  )
  expect([back.length > 50, twice.length > 3]).toEqual([true, true])
})

test("most networks fire some of the time, and most policies differ on them", () => {
  const rates = sample.flatMap((workload) => train(workload, Policy.sltt).firingRates)
  expect(rates.filter((rate) => rate > 0 && rate < 1).length / rates.length).toBeGreaterThan(0.6)
  const routed = sample.filter((workload) => {
    const sltt = train(workload, Policy.sltt)
    const bptt = train(workload, Policy.bptt)
    return deviation(bptt.gradients, sltt.gradients) > 1e-2
  })
  expect(routed.length / sample.length).toBeGreaterThan(0.35)
})

test("the margin measured on a backend equals the tape's", () => {
  fc.assert(
    fc.property(Arbitrary.workload(), (workload) => {
      const measured = sync(Arbitrary.margin(workload))
      const tape = onTape(workload, Policy.sltt).margin
      if (measured !== tape) expect(Math.abs(measured - tape)).toBeLessThan(1e-4)
    }),
    runs(150),
  )
})

test("every workload builds, so shrinking stays within valid graphs", () => {
  fc.assert(
    fc.property(Arbitrary.workload(), (workload) => {
      const graph = Arbitrary.graphOf(workload)
      expect(graph.types.get(graph.output)?.shape.length).toBe(1)
      expect(Graph.parameterCount(graph)).toBeLessThan(5000)
    }),
    runs(500),
  )
})
