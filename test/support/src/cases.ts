/**
 * Whether a conformance case is quick enough for a software GPU, whose driver compiles each shader slowly. Excludes most whole networks; the
 * remaining ones cover all kinds of segments and both encodings.
 */
export const isQuick = (name: string): boolean =>
  !/, (static|frames), |^random networks [2-9]|^loss (?!several|own, (last|max))/.test(name) ||
  /^(perceptron, (static, bptt|frames, sltt)|normaliser-free, static, inference|spike to spike, frames, sltt)$/.test(
    name,
  )

/** The same for a page in a browser, which also leaves out the product kernels: their shaders are the same, and the networks use them. */
export const isQuickInPage = (name: string): boolean => isQuick(name) && !/^kernel (conv2d|linear)/.test(name)
