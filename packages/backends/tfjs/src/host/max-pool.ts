import type { Operand } from "@spikeroute/core"

interface Operands {
  readonly x: Operand
  readonly outputGradient: Operand
  readonly inputGradient: Operand
}

interface Window {
  readonly kernelSize: number
  readonly stride: number
  readonly padding: number
}

type Image = readonly [batch: number, height: number, width: number, channels: number]

/**
 * The gradient goes to the first largest value of each window, in row order. Spikes tie nearly everywhere, so no comparison of
 * the input with the pool's output finds it; TensorFlow.js's own kernel for WebAssembly takes all largest values below 0 for none.
 */
export const maxPoolBackward = (
  { x, outputGradient, inputGradient }: Operands,
  { kernelSize, stride, padding }: Window,
): void => {
  const [batch, height, width, channels] = x.shape as unknown as Image
  const [, rows, columns] = outputGradient.shape as unknown as Image
  const values = x.data
  for (let n = 0, to = 0; n < batch; n++)
    for (let i = 0; i < rows; i++) {
      const top = Math.max(0, i * stride - padding)
      const bottom = Math.min(height, i * stride - padding + kernelSize)
      for (let j = 0; j < columns; j++) {
        const left = Math.max(0, j * stride - padding)
        const right = Math.min(width, j * stride - padding + kernelSize)
        const first = ((n * height + top) * width + left) * channels
        for (let c = 0; c < channels; c++, to++) {
          let winner = first + c
          for (let row = top; row < bottom; row++) {
            let from = ((n * height + row) * width + left) * channels + c
            for (let column = left; column < right; column++, from += channels)
              if (values[from]! > values[winner]!) winner = from
          }
          inputGradient.data[winner]! += outputGradient.data[to]!
        }
      }
    }
}
