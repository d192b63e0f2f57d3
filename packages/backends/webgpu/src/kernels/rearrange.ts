/** Rearrangements, computed per element of y: each adds up the elements of x that map to it. */
import type { KernelAttributes } from "@spikeroute/core"
import type { Operands, WgslKernels } from "../shader.ts"
import { forEachSpike, forEachStored } from "../spikes.ts"

/** Code that runs `body` for every element of x that maps to element i of y, with its index in `place`. Sets `any` if there are some. */
const eachSource = (operands: Operands, { from, to, axes }: KernelAttributes["rearrange"], body: string): string => {
  const samples = operands.shape("y")[0] ?? 1
  const [inputs, outputs] = ["x", "y"].map((name) => operands.size(name) / samples) as [number, number]
  // Divide by the strides of y from the largest to the smallest; the remainder is the position along the other axes.
  const decoded = axes
    .filter((axis) => axis.to > 0)
    .sort((a, b) => b.to - a.to)
    .map(
      (axis) => `
      any = any && rest / ${axis.to}u < ${axis.count}u;
      place += rest / ${axis.to}u * ${axis.from}u;
      rest %= ${axis.to}u;`,
    )
  const summed = axes.filter((axis) => axis.to === 0)
  const nested = summed.reduceRight(
    (inner, { count, from }, a) =>
      `for (var s${a} = 0u; s${a} < ${count}u; s${a}++) { ${inner} place += ${from}u; } place -= ${count * from}u;`,
    body,
  )
  return `
      var place = i / ${outputs}u * ${inputs}u + ${from}u;
      var rest = i % ${outputs}u - ${to}u;
      var any = i % ${outputs}u >= ${to}u;${decoded.join("")}
      any = any && rest == 0u;
      if (any) { ${nested} }`
}

export const rearrange: Pick<WgslKernels, "rearrange"> = {
  rearrange: (operands, attributes) => {
    if (operands.isSpikes("y")) {
      const before = operands.get("y").accumulate ? "fires = load_y(i) != 0f;" : ""
      return [
        forEachSpike(
          operands,
          "y",
          `${before}${eachSource(operands, attributes, "fires = fires || load_x(place) != 0f;")}`,
        ),
      ]
    }
    const body = `var sum = 0f;${eachSource(operands, attributes, "sum += load_x(place);")}
      add_y(i, sum);`
    return [forEachStored(operands, "y", body)]
  },
}
