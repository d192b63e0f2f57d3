/**
 * A one-dimensional convolutional network with spiking neurons for sequences [length, channels]: electrocardiograms (Kiranyaz et al.,
 * "Real-time patient-specific ECG classification by 1-D convolutional neural networks", IEEE Transactions on Biomedical Engineering
 * 63(3), 2016), or audio as a waveform or as frames of features.
 */
import { block, named, sequential } from "../graph/builder.ts"
import {
  adaptiveAveragePool1d,
  averagePool1d,
  batchNorm,
  conv1d,
  dropout as drop,
  flatten,
  lif,
  linear,
} from "../layers.ts"
import { type Model, model, widened } from "./model.ts"

/** Channels, kernel size and stride of the convolutions. */
const stages = [
  [16, 7, 2],
  [32, 5, 1],
  [64, 5, 1],
] as const

/**
 * The spiking 1-D network: (conv – BN – LIF – average pool 2) × 3 with 16, 32 and 64 channels, kernel sizes 7 (stride 2), 5 and 5; global
 * average pool – linear. 13,461 parameters for [256, 1] and 5 classes.
 */
export const cnn1d: Model = model("cnn1d", (classes, { width, dropout, neuron }) =>
  block((x) =>
    x.pipe(
      named(
        "features",
        sequential(
          ...stages.flatMap(([channels, kernelSize, stride]) => [
            conv1d({
              ...{ channels: widened(channels, width), kernelSize, stride, bias: false },
              padding: (kernelSize - 1) / 2,
            }),
            batchNorm(),
            lif(neuron),
            averagePool1d({ kernelSize: 2 }),
          ]),
        ),
      ),
      named("pool", adaptiveAveragePool1d({ outputSize: 1 })),
      named("flat", flatten()),
      named("drop", drop(dropout)),
      named("classifier", linear({ features: classes })),
    ),
  ),
)
