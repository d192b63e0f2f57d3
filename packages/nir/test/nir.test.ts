/** NIR files: written here, read back, run, and refused where they are malformed. */
import { describe, expect, test } from "bun:test"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { layer } from "@spikeroute/backend-reference"
import type { Numpy } from "@spikeroute/core"
import { Effect } from "effect"
import * as Nir from "../src/index.ts"

const floats = (shape: ReadonlyArray<number>, ...values: ReadonlyArray<number>): Nir.Numbers => ({
  shape,
  values: Float64Array.from(values),
  dtype: "<f4",
})
const whole = (shape: ReadonlyArray<number>, ...values: ReadonlyArray<number>): Nir.Numbers => ({
  ...floats(shape, ...values),
  dtype: "<i8",
})
const node = (type: string, parameters: Readonly<Record<string, Nir.Value>>): Nir.NirNode => ({
  type,
  parameters: new Map(Object.entries(parameters)),
})
const shape = (...extents: ReadonlyArray<number>) => ({ shape: whole([extents.length], ...extents) })
const document = (
  nodes: Readonly<Record<string, Nir.NirNode>>,
  edges: ReadonlyArray<readonly [string, string]>,
): Nir.Document => ({
  version: "1.0.7",
  node: { type: "NIRGraph", parameters: new Map(), nodes: new Map(Object.entries(nodes)), edges },
})

/** Two neurons, τ = 2·dt and 4·dt, gain 1, thresholds 1. */
const lif = (overrides: Readonly<Record<string, Nir.Value>> = {}) =>
  node("LIF", {
    tau: floats([2], 2, 4),
    r: floats([2], 2, 4),
    v_leak: floats([2], 0, 0),
    v_threshold: floats([2], 1, 1),
    v_reset: floats([2], 0, 0),
    ...overrides,
  })
const feedForward = document(
  {
    input: node("Input", shape(1)),
    fc: node("Linear", { weight: floats([2, 1], 0.75, 0.5) }),
    lif: lif(),
    output: node("Output", shape(2)),
  },
  [
    ["input", "fc"],
    ["fc", "lif"],
    ["lif", "output"],
  ],
)
const recurrent = document(
  {
    input: node("Input", shape(1)),
    fc: node("Linear", { weight: floats([2, 1], 0.75, 0.5) }),
    lif: lif(),
    back: node("Affine", { weight: floats([2, 2], 0, 1, -1, 0), bias: floats([2], 0.25, 0) }),
    output: node("Output", shape(2)),
  },
  [
    ["input", "fc"],
    ["fc", "lif"],
    ["lif", "back"],
    ["back", "lif"],
    ["lif", "output"],
  ],
)

const run = <A, E>(effect: Effect.Effect<A, E, never>) => Effect.runPromise(effect)
const numbers = (shape: ReadonlyArray<number>, ...values: ReadonlyArray<number>): Numpy.NumpyArray =>
  floats(shape, ...values)

/** The differences of what a node gives for inputs of 1 from what it should. */
const verify = (given: Nir.Document, path: string, expected: Numpy.NumpyArray, how: Nir.Discretisation = { dt: 1 }) => {
  const input = numbers([expected.shape[0] as number, 1], ...Array(expected.shape[0]).fill(1))
  return run(Nir.verify(given, input, new Map([[path, expected]]), how).pipe(Effect.provide(layer)))
}

describe("outputs of neurons", () => {
  test("Euler: 0.75 fires every other step; 0.5, 0.875, 1.156 at the third", async () => {
    const right = numbers([6, 2], 0, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1)
    expect(await verify(feedForward, "lif", right)).toEqual({ values: 0, spikesMismatched: 0 })
  })
  test("a spike requires more than the threshold by default", async () => {
    const exactly = document(
      { input: node("Input", shape(2)), lif: node("IF", { r: floats([2], 1, 1), v_threshold: floats([2], 1, 2) }) },
      [["input", "lif"]],
    )
    const input = numbers([3, 2], 1, 1, 1, 1, 1, 1)
    const check = (right: Numpy.NumpyArray, how: Nir.Discretisation) =>
      run(Nir.verify(exactly, input, new Map([["lif", right]]), how).pipe(Effect.provide(layer)))
    expect(await check(numbers([3, 2], 0, 0, 1, 0, 0, 1), { dt: 1 })).toMatchObject({ spikesMismatched: 0 })
    const atLeast = { dt: 1, compare: "atLeast" } as const
    expect(await check(numbers([3, 2], 1, 0, 1, 1, 1, 0), atLeast)).toMatchObject({ spikesMismatched: 0 })
  })
  test("without expected outputs nothing is verified", async () => {
    const input = numbers([3, 2], 1, 1, 1, 1, 1, 1)
    for (const arrays of [new Map(), new Map([["input", input]])]) {
      const verified = Nir.verify(feedForward, input, arrays).pipe(Effect.flip, Effect.provide(layer))
      expect(await run(verified)).toMatchObject({ _tag: "NirError" })
    }
  })
  test("feedback arrives one step later, bias from the first step on", async () => {
    // back gives [0.25, 0] + W·s of the step before: u₁ = 1, 1.5 (0.75 + 0.25 does not fire at 1).
    const right = numbers([3, 2], 0, 0, 1, 0, 0, 0)
    expect(await verify(recurrent, "lif", right)).toMatchObject({ spikesMismatched: 0 })
    expect(await verify(recurrent, "back", numbers([3, 2], 0.25, 0, 0.25, 0, 0.25, -1))).toEqual({
      ...{ values: 0, spikesMismatched: 0 },
    })
  })
})

test("a document survives a round trip; an imported network is exported as the original document", async () => {
  for (const each of [feedForward, recurrent]) {
    const read = await run(Effect.flatMap(Nir.write(each), (bytes) => Nir.read(bytes, "x.nir")))
    expect(read).toEqual(each)
    const network = await run(Nir.networkOf(read, { dt: 1 }))
    const back = await run(Nir.documentOf(network, { dt: 1 }))
    expect(back.node.nodes).toEqual(each.node.nodes as never)
    expect([...(back.node.edges ?? [])].sort()).toEqual([...(each.node.edges ?? [])].sort())
  }
})

test("networks that NIR cannot represent are rejected on export, with the node", async () => {
  const network = await run(Nir.networkOf(feedForward, { dt: 1, reset: "subtract" }))
  expect(await run(Effect.flip(Nir.documentOf(network, { dt: 1 })))).toMatchObject({ _tag: "NirError", node: "lif" })
})

describe("an invalid network is rejected, with its node", () => {
  const nodes = { ...Object.fromEntries(feedForward.node.nodes as never) } as Record<string, Nir.NirNode>
  const edges = feedForward.node.edges as ReadonlyArray<readonly [string, string]>
  const cases: Readonly<Record<string, readonly [at: string, Nir.Document]>> = {
    "a time constant of 0": ["lif", document({ ...nodes, lif: lif({ tau: floats([2], 2, 0) }) }, edges)],
    "a time constant shorter than a step": [
      "lif",
      document({ ...nodes, lif: lif({ tau: floats([2], 2, 0.5) }) }, edges),
    ],
    "parameters of another shape": ["lif", document({ ...nodes, lif: lif({ r: floats([3], 1, 1, 1) }) }, edges)],
    "a parameter too many": ["lif", document({ ...nodes, lif: lif({ refractory: floats([2], 1, 1) }) }, edges)],
    "a value that is not finite": ["lif", document({ ...nodes, lif: lif({ r: floats([2], 1, Number.NaN) }) }, edges)],
    "an unknown type": ["lif", document({ ...nodes, lif: node("Izhikevich", {}) }, edges)],
    "an edge to nowhere": ["", document(nodes, [...edges, ["lif", "ghost"]])],
    "a node without edges": ["alone", document({ ...nodes, alone: lif() }, edges)],
    "a loop without a neuron": [
      "a",
      document(
        {
          input: node("Input", shape(2)),
          a: node("Linear", { weight: floats([2, 2], 1, 0, 0, 1) }),
          b: node("Linear", { weight: floats([2, 2], 1, 0, 0, 1) }),
          output: node("Output", shape(2)),
        },
        [
          ["input", "a"],
          ["a", "b"],
          ["b", "a"],
          ["b", "output"],
        ],
      ),
    ],
  }
  for (const [name, [at, given]] of Object.entries(cases))
    test(name, async () => {
      expect(await run(Effect.flip(Nir.networkOf(given, { dt: 1 })))).toMatchObject({ _tag: "NirError", node: at })
    })
  test("files that are not HDF5, or truncated", async () => {
    const bytes = await run(Nir.write(feedForward))
    for (const each of [new Uint8Array(), Uint8Array.of(1, 2, 3), bytes.slice(0, bytes.length / 2)])
      expect(await run(Effect.flip(Nir.read(each, "x.nir")))).toMatchObject({ _tag: "NirError", file: "x.nir" })
  })
})

const shared = new URL("../../../../shared/nir/", import.meta.url).pathname

describe.if(existsSync(shared))("files of other software", () => {
  const filesOf = (folder: string) => readdirSync(shared + folder).filter((name) => name.endsWith(".nir"))
  for (const folder of ["ok", "frameworks"])
    for (const name of filesOf(folder).filter((each) => !each.includes("lzf")))
      test(`${folder}/${name} survives a round trip`, async () => {
        const bytes = readFileSync(`${shared}${folder}/${name}`)
        const read = await run(Nir.read(bytes, name))
        const again = await run(Effect.flatMap(Nir.write(read), (written) => Nir.read(written, name)))
        const plain = (value: unknown): unknown =>
          JSON.stringify(value, (_, each) => (each instanceof Map ? [...each] : each)).replaceAll(
            /"dtype":"[^"]*"/g,
            "",
          )
        expect(plain(again)).toEqual(plain(read))
      })
  for (const name of filesOf("bad"))
    test(`bad/${name} is rejected`, async () => {
      const bytes = readFileSync(`${shared}bad/${name}`)
      const outcome = Effect.flatMap(Nir.read(bytes, name), (each) => Nir.networkOf(each))
      expect(await run(Effect.flip(outcome))).toMatchObject({ _tag: "NirError" })
    })
})
