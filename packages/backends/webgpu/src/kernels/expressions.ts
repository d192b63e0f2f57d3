/** Prints expression code as WGSL. Core's elementwise kernels define the meaning of leaves and results. */
import { type Expressions, type KernelAttributes, Windows } from "@spikeroute/core"
import { columnSums } from "../column-reductions.ts"
import {
  float,
  forEach,
  forEachInImage,
  fromWord,
  type Operands,
  rounded,
  type Stage,
  type WgslKernels,
} from "../shader.ts"
import { fire, forEachSpike, forEachStored } from "../spikes.ts"
import { averageSpread, pixelOf } from "./pooling.ts"

type Code = Expressions.Code
type Line = Expressions.CodeLine
type Operation = Exclude<Line[0], "constant" | "leaf" | "fire" | "route">

/** WGSL of each operation on the values a, b, c. */
const operations: { readonly [O in Operation]: (a: string, b: string, c: string) => string } = {
  negate: (a) => `-${a}`,
  absolute: (a) => `abs(${a})`,
  // WGSL leaves the result of an overflow undefined.
  exp: (a) => `exp(clamp(${a}, -104f, 88.72f))`,
  log: (a) => `log(${a})`,
  sqrt: (a) => `sqrt(${a})`,
  tanh: (a) => `hyperbolic_tangent(${a})`,
  sigmoid: (a) => `1f / (1f + exp(min(-${a}, 88f)))`,
  atan: (a) => `arc_tangent(${a})`,
  add: (a, b) => `${a} + ${b}`,
  subtract: (a, b) => `${a} - ${b}`,
  multiply: (a, b) => rounded(`${a} * ${b}`),
  divide: (a, b) => `${a} / ${b}`,
  minimum: (a, b) => `min(${a}, ${b})`,
  maximum: (a, b) => `max(${a}, ${b})`,
  atLeast: (a, b) => `select(0f, 1f, ${a} >= ${b})`,
  greater: (a, b) => `select(0f, 1f, ${a} > ${b})`,
  select: (a, b, c) => `select(${c}, ${b}, ${a} != 0f)`,
}

/** Helper functions of operations. tanh follows Cephes: WGSL's own loses small inputs and overflows for large ones. */
const functions: { readonly [O in Operation]?: string } = {
  // Abramowitz & Stegun 4.4.49, accurate to 2·10⁻⁸: WGSL's own may be off by 4096 units in the last place.
  atan: `fn arc_tangent(x: f32) -> f32 {
  let beyond = abs(x) > 1f;
  let y = select(abs(x), 1f / abs(x), beyond);
  let s = y * y;
  let a = y * (1f + s * (-0.3333314528f + s * (0.1999355085f + s * (-0.1420889944f + s * (0.1065626393f
    + s * (-0.0752896400f + s * (0.0429096138f + s * (-0.0161657367f + s * 0.0028662257f))))))));
  return sign(x) * select(a, 1.57079632679f - a, beyond);
}`,
  tanh: `fn hyperbolic_tangent(x: f32) -> f32 {
  let y = x * x;
  let small = x + x * y * (-0.333332819422f + y * (0.133314422036f + y * (-0.0537397155531f + y * (0.0206390887954f
    + y * -0.00570498872745f))));
  let large = 1f - 2f / (exp(2f * min(abs(x), 10f)) + 1f);
  return select(sign(x) * large, small, abs(x) < 0.625f);
}`,
}

/** Declares the number of elements, which is also the stride between planes. */
export const elementCount = (count: string): string => `fn elements() -> u32 { return ${count}; }`

/** Statements that compute the values v0, v1, … of a code for element `i` of `count`, and the functions that they call. */
const print = (operands: Operands, code: Code, count: number, isPooled = false) => {
  const leaf = (name: string, plane: string | undefined): string => {
    if (isPooled && name === "dy") return "arrived"
    if (name === "h") return `load_h(${plane}u)`
    if (plane !== undefined) return `load_${name}(${plane}u * elements() + i)`
    const size = operands.size(name)
    // Merged updates share one shader, so a scalar operand must stay a scalar even if the tensor has one element.
    const isShared = size === 1 && (count !== 1 || name.startsWith("p"))
    return `load_${name}(${isShared ? "0u" : size === count ? "i" : `i % ${size}u`})`
  }
  const constant = (value: number): string => {
    const [word] = new Uint32Array(Float32Array.of(value).buffer)
    return Number.isFinite(Math.fround(value)) ? float(value) : fromWord(`${word}u`)
  }
  const value = (line: Line): string => {
    if (line[0] === "constant") return constant(line[1])
    if (line[0] === "leaf") return leaf(...(line[1].split(".") as [string, string | undefined]))
    const [op, a, b, c] = line as readonly [Operation, number, number, number]
    return operations[op](`v${a}`, `v${b}`, `v${c}`)
  }
  return {
    text: code.map((line, place) => `let v${place} = ${value(line)};`).join("\n  "),
    declarations: [elementCount(`${count}u`), ...new Set(code.map(([op]) => functions[op as Operation] ?? ""))].join(
      "\n",
    ),
  }
}

type Forward = KernelAttributes["elementwise.forward"]
type Backward = KernelAttributes["elementwise.backward"]

/** What a thread of the forward pass does for element `i`, except storing `y`, which is left in `v<y>`. */
const forward = (operands: Operands, { code, state, y }: Forward) => {
  const count = y >= 0 ? operands.size("y") : operands.size("state") / state.length
  const { text, declarations } = print(operands, code, count)
  const stores = state.map((place, k) => `store_state(${k}u * elements() + i, v${place});`)
  return { count, body: [text, ...stores].join("\n  "), declarations }
}

/** Largest window whose spikes fit workgroup memory, whatever else shares the dispatch. */
const mostPooled = 8

/** `elementwise.forward` and the average pool of its spikes as one stage, or `undefined` if the windows do not tile the image. */
export const spikesAndPool = (
  operands: Operands,
  attributes: Forward,
  pool: KernelAttributes["averagePool.forward"],
): ReadonlyArray<Stage> | undefined => {
  const [, height = 1, width = 1, channels = 1] = operands.shape("y")
  const kernelSize = Windows.sideOfTiles(pool)
  if (kernelSize === undefined || operands.shape("y").length !== 4) return undefined
  if (height % kernelSize !== 0 || width % kernelSize !== 0) return undefined
  if (kernelSize > mostPooled || !operands.isSpikes("y")) return undefined
  const { count, body, declarations } = forward(operands, attributes)
  return [
    fire(operands, {
      ...{ name: "y", size: count, channels, declarations },
      body: `${body}\n  fires = v${attributes.y} != 0f;`,
      window: {
        ...{ height, width, kernelSize },
        finish: `store_pooled(place * ${channels}u + channel, f32(count) * ${pool.share}f);`,
      },
    }),
  ]
}

/** The image in front of an average pool, and the gradient that each of its elements receives. */
const behindPool = (operands: Operands, { kernelSize, height, width }: NonNullable<Backward["pool"]>) => {
  const [batch = 1, , , channels = 1] = operands.shape("dy")
  const arrived = averageSpread(operands, "dy", Windows.averagingTiles(kernelSize))
  return { image: [batch, height, width, channels] as const, arrived }
}

/** Sums for the parameters' gradients, grouped by the number of elements of the parameter. */
const sumsOf = (operands: Operands, { dp }: Backward) => {
  const all = dp.flatMap((place, j) => (place < 0 ? [] : [{ name: `dp${j}`, value: `v${place}` }]))
  return [...Map.groupBy(all, ({ name }) => operands.size(name))]
}

export const expressions = {
  "elementwise.forward": (operands, attributes) => {
    const { y } = attributes
    const { count, body, declarations } = forward(operands, attributes)
    if (y < 0) return [forEach(operands, count, body, declarations)]
    return operands.isSpikes("y")
      ? [forEachSpike(operands, "y", `${body}\n  fires = v${y} != 0f;`, declarations)]
      : [forEachStored(operands, "y", `${body}\n  store_y(i, v${y});`, { declarations })]
  },
  "elementwise.backward": (operands, attributes) => {
    const { code, carry, dx, pool } = attributes
    const counted = ["dy", "carry", "dx0"].find((name) => operands.has(name)) ?? "x0"
    const pooled = pool && operands.has("dy") ? behindPool(operands, pool) : undefined
    const count = pooled
      ? pooled.image.reduce((product, extent) => product * extent)
      : operands.size(counted) / (counted === "carry" ? carry.length : 1)
    const printed = print(operands, code, count, pooled !== undefined)
    const { declarations } = printed
    const stores = [
      ...carry.map((place, k) => `store_carry(${k}u * elements() + i, v${place});`),
      ...dx.flatMap((place, k) => (place < 0 ? [] : [`add_dx${k}(i, v${place});`])),
    ]
    const text = `${pooled?.arrived ?? ""}\n  ${printed.text}`
    const body = [text, ...stores].join("\n  ")
    const sums = sumsOf(operands, attributes)
    // Behind a pool an element reads another element's gradient, so that stage has no `each` and nothing is fused into it.
    if (sums.length === 0)
      return [
        pooled
          ? forEachInImage(operands, pooled.image, body, declarations)
          : forEach(operands, count, body, declarations),
      ]
    // Outputs may alias inputs: only the last pass over the elements stores them.
    return sums.flatMap(([columns, each], pass) =>
      columnSums(
        operands,
        { rows: count / columns, columns },
        {
          names: each.map(({ name }) => `sum_${name}`),
          each: `${pooled ? pixelOf(pooled.image) : ""}${pass === sums.length - 1 ? body : text}
  ${each.map(({ name, value }) => `sum_${name} += ${value};`).join(" ")}`,
          finish: each.map(({ name }) => `    add_${name}(c, sum_${name});`).join("\n"),
          declarations,
        },
      ),
    )
  },
} satisfies Partial<WgslKernels>
