/**
 * Which cases of the conformance suite, by name, a GPU made of software runs: its driver compiles a shader for as long as a fast GPU
 * trains an epoch. All but most of the whole networks; those that stay have all kinds of segments and both encodings between them.
 */
export const isQuick = (name: string): boolean =>
  !/, (static|frames), |^random networks [2-9]|^loss (?!several|own, (last|max))/.test(name) ||
  /^(perceptron, (static, bptt|frames, sltt)|normaliser-free, static, inference|spike to spike, frames, sltt)$/.test(
    name,
  )

/** The same for a page in a browser: the shaders of products are the same there, and the networks have some. */
export const isQuickInPage = (name: string): boolean => isQuick(name) && !/^kernel (conv2d|linear)/.test(name)
