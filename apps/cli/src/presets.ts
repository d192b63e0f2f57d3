/**
 * How other libraries name what they save beside PyTorch's own modules. The SLTT authors' networks need no preset: their names are those of
 * the models here.
 */
import type { Graph, Train } from "@spikeroute/core"

interface Preset {
  /** Settings of neurons, which a network here has in itself. */
  readonly settings: RegExp
  /** Names and what they are here, where the network has that. */
  readonly renamed: ReadonlyArray<readonly [from: RegExp, to: string]>
}

export const presets = {
  /** `Leaky`, `Synaptic`, `RLeaky` … keep their settings as buffers. */
  snntorch: {
    settings: /(^|\.)(threshold|graded_spikes_factor|reset_mechanism_val|alpha|beta|V|mem|syn|spk)$/,
    renamed: [],
  },
  /** Modules in a `SeqToANNContainer` have a number of their own; the `w` of a `ParametricLIFNode` is that of `plif`. */
  spikingjelly: {
    settings: /(^|\.)(v|v_threshold|v_reset)$/,
    renamed: [[/\.0\.(\w+)$/, ".$1"]],
  },
} as const satisfies Readonly<Record<string, Preset>>

export type PresetName = keyof typeof presets

/** Tensors by the names of a network, and settings of neurons that were left out, as `1.beta`. */
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
