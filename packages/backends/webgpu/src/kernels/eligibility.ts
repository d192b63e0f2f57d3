/** Eligibility traces: one thread per weight loops over the samples. */
import { forEach, range, type WgslKernels } from "../shader.ts"

export const eligibility: Pick<WgslKernels, "eligibility"> = {
  eligibility: (operands, { states, first }) => {
    const [samples = 1, outputs = 1] = operands.shape("factors").slice(-2)
    const inputs = operands.size("x") / samples
    const weights = inputs * outputs
    const factor = (k: number) => `load_factors(${(first + k) * samples * outputs}u + at)`
    const place = (k: number) => `${k * samples * weights}u + n * ${weights}u + i`
    const changed = (direct: number, row: number) =>
      range(states).reduce((sum, l) => `${sum} + ${factor(row + l)} * own${l}`, `${factor(direct)} * seen`)
    const rows = 1 + states
    const learns = operands.has("outputGradient") && operands.has("weightGradient")
    const body = `  let j = i % ${outputs}u;
  var sum = 0f;
  for (var n = 0u; n < ${samples}u; n++) {
    let at = n * ${outputs}u + j;
    let seen = load_x(n * ${inputs}u + i / ${outputs}u);
${range(states)
  .map((l) => `    let own${l} = load_trace(${place(l)});`)
  .join("\n")}
    ${learns ? `sum += load_outputGradient(at) * (${changed(0, 1)});` : ""}
${range(states)
  .map((k) => `    store_trace(${place(k)}, ${changed(rows + states * states + k, rows + k * states)});`)
  .join("\n")}
  }
  ${learns ? "add_weightGradient(i, sum);" : ""}`
    return [forEach(operands, weights, body)]
  },
}
