/** Batch normalisation and weight standardisation. */
import { columnMoments, columnSums } from "../column-reductions.ts"
import { forEach, type Operands, type WgslKernels } from "../shader.ts"
import { forEachStored } from "../spikes.ts"

const matrixOf = (operands: Operands, name: string) => {
  const columns = operands.channels(name)
  return { rows: operands.size(name) / columns, columns }
}

const batchEpsilon = "1e-5f"
const weightEpsilon = "1e-4f"

/** Mean and scale of every output channel of a weight, left in the first 2·columns scratch elements. */
const weightMoments = (operands: Operands) => {
  const { rows, columns } = matrixOf(operands, "weight")
  return columnMoments(
    operands,
    { rows, columns },
    {
      value: "load_weight(i)",
      finish: `    scratch[c] = average;
    scratch[${columns}u + c] = inverseSqrt(squares / ${Math.max(1, rows - 1)}f * ${rows}f + ${weightEpsilon});`,
    },
    2 * columns,
  )
}

export const normalization = {
  "batchNorm.forward": (operands, { updates }) => {
    const { rows, columns } = matrixOf(operands, "x")
    return [
      ...columnMoments(
        operands,
        { rows, columns },
        {
          value: "load_x(i)",
          finish: `    store_mean(c, average);
    store_inverseDeviation(c, 1f / sqrt(squares / ${rows}f + ${batchEpsilon}));
    var mean = load_runningMean(c);
    var variance = load_runningVariance(c);
    for (var update = 0u; update < ${updates}u; update++) {
      mean += 0.1f * (average - mean);
      variance += 0.1f * (squares / ${Math.max(1, rows - 1)}f - variance);
    }
    store_runningMean(c, mean);
    store_runningVariance(c, variance);`,
        },
      ),
      forEachStored(
        operands,
        "y",
        `let c = i % ${columns}u;
  store_y(i, (load_x(i) - load_mean(c)) * load_inverseDeviation(c) * load_weight(c) + load_bias(c));`,
      ),
    ]
  },
  "batchNorm.inference": (operands) => [
    forEachStored(
      operands,
      "y",
      `let c = i % ${operands.channels("x")}u;
  store_y(i, (load_x(i) - load_runningMean(c)) / sqrt(load_runningVariance(c) + ${batchEpsilon}) * load_weight(c) + load_bias(c));`,
    ),
  ],
  "batchNorm.backward": (operands) => {
    const { rows, columns } = matrixOf(operands, "x")
    const normalized = "(load_x(i) - load_mean(c)) * load_inverseDeviation(c)"
    const keep = operands.has("inputGradient")
    // The weight gradients accumulate over time steps, but the input gradient needs this step's sums: keep these separately.
    const partials = columnSums(
      operands,
      { rows, columns },
      {
        names: ["sum", "projection"],
        each: `sum += load_outputGradient(i); projection += load_outputGradient(i) * ${normalized};`,
        finish: `    add_weightGradient(c, projection);
    add_biasGradient(c, sum);${keep ? ` scratch[c] = sum; scratch[${columns}u + c] = projection;` : ""}`,
      },
      keep ? 2 * columns : 0,
    )
    if (!keep) return partials
    return [
      ...partials,
      forEach(
        operands,
        rows * columns,
        `let c = i % ${columns}u;
  add_inputGradient(i, load_weight(c) * load_inverseDeviation(c) * (load_outputGradient(i) - (scratch[c] + ${normalized} * scratch[${columns}u + c]) / ${rows}f));`,
        "",
        2 * columns,
      ),
    ]
  },
  "weightStandardization.forward": (operands) => {
    const { rows, columns } = matrixOf(operands, "weight")
    return [
      ...weightMoments(operands),
      forEach(
        operands,
        rows * columns,
        `let c = i % ${columns}u;
  store_y(i, load_gain(c) * (load_weight(i) - scratch[c]) * scratch[${columns}u + c]);`,
        "",
        2 * columns,
      ),
    ]
  },
  "weightStandardization.backward": (operands) => {
    const { rows, columns } = matrixOf(operands, "weight")
    const standardized = `(load_weight(i) - scratch[c]) * scratch[${columns}u + c]`
    return [
      ...weightMoments(operands),
      ...columnSums(
        operands,
        { rows, columns },
        {
          names: ["sum", "projection"],
          each: `sum += load_outputGradient(i); projection += load_outputGradient(i) * ${standardized};`,
          finish: `    add_gainGradient(c, projection);
    scratch[${2 * columns}u + c] = sum;
    scratch[${3 * columns}u + c] = projection;`,
        },
        4 * columns,
      ),
      forEach(
        operands,
        rows * columns,
        `let c = i % ${columns}u;
  add_weightGradient(i, load_gain(c) * scratch[${columns}u + c] * (load_outputGradient(i) - scratch[${2 * columns}u + c] / ${rows}f - ${standardized} * scratch[${3 * columns}u + c] * ${rows}f / ${Math.max(1, rows - 1)}f));`,
        "",
        4 * columns,
      ),
    ]
  },
} satisfies Partial<WgslKernels>
