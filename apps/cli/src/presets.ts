/**
 * Tensor naming of other libraries, where it differs from that of PyTorch's modules. The SLTT authors' networks need no preset: they use
 * the same names as the models of this library.
 */
import type { Graph, Train } from "@spikeroute/core"

interface Preset {
  /** Names of neuron settings, which are part of the network in this library. */
  readonly settings: RegExp
  /** Renamings, each applied if the network has a parameter with the resulting name. */
  readonly renamed: ReadonlyArray<readonly [from: RegExp, to: string]>
}

export const presets = {
  /** `Leaky`, `Synaptic`, `RLeaky` … store their settings as buffers. */
  snntorch: {
    settings: /(^|\.)(threshold|graded_spikes_factor|reset_mechanism_val|alpha|beta|V|mem|syn|spk)$/,
    renamed: [],
  },
  /** Modules in a `SeqToANNContainer` have an additional index; the `w` of a `ParametricLIFNode` equals that of `plif`. */
  spikingjelly: {
    settings: /(^|\.)(v|v_threshold|v_reset)$/,
    renamed: [[/\.0\.(\w+)$/, ".$1"]],
  },
} as const satisfies Readonly<Record<string, Preset>>

export type PresetName = keyof typeof presets

/** Tensors under the network's names, and the neuron settings that were left out, such as `1.beta`. */
export const withPreset = (name: PresetName, tensors: Train.Tensors, { parameters }: Graph.Graph) => {
  const { settings, renamed }: Preset = presets[name]
  const known = new Set(parameters.map((parameter) => parameter.name))
  const ours = (theirs: string): string =>
    known.has(theirs)
      ? theirs
      : (renamed.map(([from, to]) => theirs.replace(from, to)).find((each) => known.has(each)) ?? theirs)
  const all = [...tensors].map(([theirs, tensor]) => [ours(theirs), tensor] as const)
  const isSetting = (each: string) => !known.has(each) && settings.test(each)
  return {
    tensors: new Map(all.filter(([each]) => !isSetting(each))),
    leftOut: all.filter(([each]) => isSetting(each)),
  }
}
