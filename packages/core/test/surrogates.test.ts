/** Surrogate gradients g(z) and their primitives G(z) at points where their values are known. */
import { describe, expect, test } from "bun:test"
import { Surrogate } from "../src/index.ts"
import { functionsOf } from "./support.ts"

const { defaults, surrogateNames } = Surrogate

/** [options, [z, g(z)] …, [z, G(z)] …] */
const table: ReadonlyArray<
  readonly [
    Surrogate.SurrogateOptions,
    ReadonlyArray<readonly [number, number]>,
    ReadonlyArray<readonly [number, number]>,
  ]
> = [
  [
    { name: "triangle", alpha: 1 },
    [
      [0, 1],
      [0.25, 0.75],
      [-0.5, 0.5],
      [1, 0],
      [-3, 0],
    ],
    [
      [0.5, 0.875],
      [1, 1],
      [-1, 0],
      [7, 1],
    ],
  ],
  [
    { name: "triangle", alpha: 2 },
    [
      [0, 2],
      [0.25, 1],
      [-0.5, 0],
    ],
    [
      [0.25, 0.875],
      [-0.5, 0],
    ],
  ],
  [
    { name: "rectangle", width: 1 },
    [
      [0, 1],
      [0.5, 1],
      [-0.5, 1],
      [0.501, 0],
      [-0.501, 0],
    ],
    [
      [0.25, 0.75],
      [0.5, 1],
      [-2, 0],
    ],
  ],
  [
    { name: "rectangle", width: 2 },
    [
      [0, 0.5],
      [1, 0.5],
      [1.001, 0],
    ],
    [[0.5, 0.75]],
  ],
  [
    { name: "sigmoid", alpha: 4 },
    [
      [0, 1],
      [0.5, 0.41997434161402614],
      [-0.5, 0.41997434161402614],
    ],
    [[0.5, 0.8807970779778823]],
  ],
  [
    { name: "atan", alpha: 2 },
    [
      [0, 1],
      [1 / Math.PI, 0.5],
      [-1 / Math.PI, 0.5],
    ],
    [
      [1 / Math.PI, 0.75],
      [-1 / Math.PI, 0.25],
    ],
  ],
  [
    { name: "fastSigmoid", alpha: 25 },
    [
      [0, 1],
      [0.04, 0.25],
      [-0.16, 0.04],
    ],
    [
      [0.04, 0.52],
      [-0.04, 0.48],
    ],
  ],
]

for (const [options, gradients, primitives] of table)
  test(JSON.stringify(options), () => {
    const { gradient, primitive } = functionsOf(options)
    for (const [z, value] of gradients) expect(gradient(z)).toBeCloseTo(value, 6)
    expect(primitive(0)).toBe(0.5)
    for (const [z, value] of primitives) expect(primitive(z)).toBeCloseTo(value, 6)
  })

test("every surrogate is in the table with its default parameters", () => {
  const tested = new Set(table.map(([options]) => JSON.stringify(options)))
  for (const name of surrogateNames) expect(tested.has(JSON.stringify(defaults[name]))).toBe(true)
})

describe("G′ = g, by central differences away from the kinks", () => {
  for (const [options] of table)
    test(JSON.stringify(options), () => {
      const { gradient, primitive } = functionsOf(options)
      for (const z of [-1.7, -0.8, -0.43, -0.21, -0.03, 0.02, 0.13, 0.37, 0.77, 1.9]) {
        const slope = (primitive(z + 1e-6) - primitive(z - 1e-6)) / 2e-6
        expect(slope).toBeCloseTo(gradient(z), 6)
      }
    })
})
