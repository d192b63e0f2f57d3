/** Membrane potentials and spikes, step by step; every number was computed by hand and is exact in float32 unless said. */
import { describe, expect, test } from "bun:test"
import { type Cell, unfold } from "../src/expressions/cell.ts"
import { Graph, integrateAndFire, leakyReadout, lif, plif } from "../src/index.ts"
import { empty, expectNear, runKernel, trace } from "./support.ts"

const inputs = [0.5, 0.75, 0.5, 1, 0, 2, 0.5]

/** u before the reset, and s, of one neuron at each step. */
const traceOf = (layer: Graph.Layer, parameters = {}) => {
  const rows = trace(Graph.makeUnsafe([1], Graph.named("n", layer)), inputs, parameters)
  return { u: rows["state/n"], s: rows["value/n"] }
}

describe("leaky integrate-and-fire, τ = 2 (λ = 1/2), threshold 1", () => {
  test("soft reset subtracts the threshold, and the rest continues to leak", () => {
    // v:                  0.5   0  0.5  0.25  0.125  1.0625   0.03125
    expect(traceOf(lif({ tau: 2 }))).toEqual({
      u: [0.5, 1, 0.5, 1.25, 0.125, 2.0625, 1.03125],
      s: [0, 1, 0, 1, 0, 1, 1],
    })
  })
  test("hard reset to 0", () => {
    expect(traceOf(lif({ tau: 2, reset: "hard" }))).toEqual({
      u: [0.5, 1, 0.5, 1.25, 0, 2, 0.5],
      s: [0, 1, 0, 1, 0, 1, 0],
    })
  })
  test("without reset, the potential only leaks", () => {
    expect(traceOf(lif({ tau: 2, reset: "none" }))).toEqual({
      u: [0.5, 1, 1, 1.5, 0.75, 2.375, 1.6875],
      s: [0, 1, 1, 1, 0, 1, 1],
    })
  })
  test("threshold 2 fires at 2 and subtracts 2", () => {
    expect(traceOf(lif({ tau: 2, threshold: 2 }))).toEqual({
      u: [0.5, 1, 1, 1.5, 0.75, 2.375, 0.6875],
      s: [0, 0, 0, 0, 0, 1, 0],
    })
  })
  test("the decay is 1 − 1/τ; the default τ is 1.1", () => {
    const { u } = traceOf(lif())
    // λ = 1/11: 0.5; 0.5/11 + 0.75; …
    expectNear(u?.slice(0, 3), [0.5, 0.795454545, 0.572314049])
  })
  test("τ = 1 has no memory", () => {
    expect(traceOf(lif({ tau: 1 })).u).toEqual(inputs)
  })
})

describe("integrate-and-fire (λ = 1)", () => {
  test("soft reset preserves the charge exactly", () => {
    expect(traceOf(integrateAndFire())).toEqual({
      u: [0.5, 1.25, 0.75, 1.75, 0.75, 2.75, 2.25],
      s: [0, 1, 0, 1, 0, 1, 1],
    })
  })
  test("hard reset", () => {
    expect(traceOf(integrateAndFire({ reset: "hard" }))).toEqual({
      u: [0.5, 1.25, 0.5, 1.5, 0, 2, 0.5],
      s: [0, 1, 0, 1, 0, 1, 0],
    })
  })
})

describe("parametric LIF", () => {
  test("w = 0 corresponds to τ = 2", () => {
    expect(traceOf(plif(), { "n.w": [0] })).toEqual(traceOf(lif({ tau: 2 })))
  })
  test("w = ln 3 corresponds to λ = 1/4", () => {
    const { u, s } = traceOf(plif(), { "n.w": [Math.log(3)] })
    expectNear(u, [0.5, 0.875, 0.71875, 1.1796875, 0.044921875, 2.01123046875, 0.7528076171875], 1e-6)
    expect(s).toEqual([0, 0, 0, 1, 0, 1, 0])
  })
  test("the initial w satisfies 1/τ = σ(w)", () => {
    const graph = Graph.makeUnsafe([1], Graph.named("n", plif({ tau: 4 })))
    expect(graph.parameters).toEqual([
      { name: "n.w", shape: [], initializer: { kind: "constant", value: -Math.log(3) }, role: "weight" },
    ])
  })
})

test("a leaky read-out is a membrane that never fires", () => {
  const rows = trace(Graph.makeUnsafe([1], Graph.named("n", leakyReadout({ tau: 2 }))), inputs)
  expect(rows["value/n"]).toEqual([0.5, 1, 1, 1.5, 0.75, 2.375, 1.6875])
  expect(rows["state/n"]).toEqual(rows["value/n"] as Array<number>)
})

test("a neuron fires exactly at the threshold", () => {
  const graph = Graph.makeUnsafe([1], Graph.named("n", lif({ tau: 1 })))
  expect(trace(graph, [1, 0.99999994, 1.0000001, -1])["value/n"]).toEqual([1, 0, 1, 0])
})

describe("gradients of one step: u = 0.75, 1.5, 2.5 with g = 0.75, 0.5, 0 (triangle), ∂s = 2, −1, 3, ∂v = 0.4, 0.8, −0.2", () => {
  /** The backward direction of a layer: of its input, its membrane and a parameter. */
  const backward = (
    layer: Graph.Layer,
    operands: Parameters<typeof runKernel>[1] = {},
    { cut = "", pool }: { readonly cut?: string; readonly pool?: object } = {},
  ) => {
    const node = Graph.makeUnsafe([1], Graph.named("n", layer)).nodes.at(-1)
    const cell = node?.attributes as unknown as Cell
    const attributes = unfold(cell).backward({
      isCut: (edge) => edge === cut,
      output: true,
      carried: true,
      inputs: [true],
      parameters: Array.from({ length: cell.parameters }, () => true),
    })
    return runKernel(
      "elementwise.backward",
      {
        state: [[3], [0.75, 1.5, 2.5]],
        dy: [[3], [2, -1, 3]],
        carry: [[3], [0.4, 0.8, -0.2]],
        dx0: empty(3),
        ...operands,
      },
      { ...attributes, ...(pool && { pool }) },
    )
  }
  test("soft reset: (∂s − ∂v)·g + ∂v", () => {
    const { dx0, carry } = backward(lif({ tau: 2 }))
    expectNear(dx0, [1.6, -0.1, -0.2])
    expectNear(carry, [0.8, -0.05, -0.1])
  })
  test("before a 2×2 average pool, a neuron receives a quarter of its window's gradient, and 0 outside all windows", () => {
    const shape = [1, 2, 3, 1]
    const { dx0 } = backward(
      lif({ tau: 2 }),
      {
        state: [shape, [0.75, 1.5, 0.75, 2.5, 0.75, 1.5]],
        dy: [[1, 1, 1, 1], [8]],
        carry: empty(...shape),
        dx0: empty(...shape),
      },
      { pool: { kernelSize: 2, height: 2, width: 3 } },
    )
    expectNear(dx0, [1.5, 1, 0, 0, 1.5, 0])
  })
  test("without the route through the reset: ∂s·g + ∂v", () => {
    const { dx0, carry } = backward(lif({ tau: 2 }), {}, { cut: "reset" })
    expectNear(dx0, [1.9, 0.3, -0.2])
    expectNear(carry, [0.95, 0.15, -0.1])
  })
  test("hard reset: (∂s − u·∂v)·g + ∂v·(1 − s)", () => {
    expectNear(backward(lif({ tau: 2, reset: "hard" })).dx0, [1.675, -1.1, 0])
  })
  test("no reset: ∂s·g + ∂v, whether the reset edge is cut or not", () => {
    expectNear(backward(lif({ tau: 2, reset: "none" })).dx0, [1.9, 0.3, -0.2])
    expectNear(backward(lif({ tau: 2, reset: "none" }), {}, { cut: "reset" }).dx0, [1.9, 0.3, -0.2])
  })
  test("a trained decay: ∂λ = Σ ∂u·v, and ∂v is multiplied by that decay", () => {
    // Potentials 0.5, 1.5, 0 before the reset leave v = 0.5, 0.5, 0.
    const before = [[3], [0.5, 1.5, 0]] as const
    const { dp0, carry } = backward(plif(), { before, p0: [[], [0.25]], dp0: [[], [10]] })
    expectNear(dp0, [10.75])
    expectNear(carry, [0.4, -0.025, -0.05])
  })
  test("leaky read-out: ∂x = ∂y + ∂v, ∂v ← λ·∂x", () => {
    const { dx0, carry } = backward(leakyReadout({ tau: 2 }), {
      dy: [[2], [1, -2]],
      carry: [[2], [0.5, 1]],
      dx0: [[2], [10, 20]],
    })
    expect(dx0).toEqual([11.5, 19])
    expect(carry).toEqual([0.75, -0.5])
  })
})
