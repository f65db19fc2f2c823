// Shell completion scripts for `guideway completion bash|zsh`. Thread contract: pure function.
#pragma once

#include <string>
#include <string_view>

namespace guideway::cli {

/// `shell`: "bash" or "zsh".
std::string completion_script(std::string_view shell);

}  // namespace guideway::cli
