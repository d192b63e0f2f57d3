import { type Operand, Windows } from "@spikeroute/core"

interface Operands {
  readonly x: Operand
  readonly outputGradient: Operand
  readonly inputGradient: Operand
}

/**
 * Routes each output gradient to the first maximum of its window, in row order. Spikes tie almost everywhere, so comparing the input
 * with the pool's output cannot find it; TensorFlow.js's WebAssembly kernel ignores windows whose maximum is negative.
 */
export const maxPoolBackward = ({ x, outputGradient, inputGradient }: Operands, window: Windows.Window): void => {
  const [batch, height, width, channels] = Windows.imagesOf(x.shape)
  const [rows = [], columns = []] = Windows.tapsOf(x.shape, outputGradient.shape, window).map((taps) =>
    taps.map((own) => own.map(([, position]) => position)),
  )
  const values = x.data
  for (let n = 0, to = 0; n < batch; n++)
    for (const down of rows)
      for (const along of columns)
        for (let c = 0; c < channels; c++, to++) {
          let winner = -1
          for (const y of down)
            for (const x of along) {
              const from = ((n * height + y) * width + x) * channels + c
              if (winner < 0 || values[from]! > values[winner]!) winner = from
            }
          inputGradient.data[winner]! += outputGradient.data[to]!
        }
}
