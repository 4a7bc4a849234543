#include "registry.h"

#include <pthread.h>

#include <atomic>
#include <mutex>
#include <new>
#include <shared_mutex>
#include <unordered_map>

namespace optcc {
namespace {

struct Registry {
  std::shared_mutex mutex;
  std::unordered_map<std::string, Kernel*> kernels;
  std::atomic<Compiler*> compiler{nullptr};

  // A fork takes the mutex along, so that no other thread can hold it in the
  // child, where that thread does not exist. The child has another thread id
  // than the holder and cannot unlock; it begins with a new mutex.
  Registry() {
    pthread_atfork([] { registry().mutex.lock(); },
                   [] { registry().mutex.unlock(); },
                   [] { new (&registry().mutex) std::shared_mutex; });
  }

  // Never destroyed: calls may still run while the process ends.
  static Registry& registry() {
    static Registry* const instance = new Registry;
    return *instance;
  }
};

Kernel* find(const std::string& name) {
  Registry& registry = Registry::registry();
  std::shared_lock<std::shared_mutex> lock(registry.mutex);
  const auto found = registry.kernels.find(name);
  return found == registry.kernels.end() ? nullptr : found->second;
}

}  // namespace

void register_kernel(const std::string& name, Kernel* kernel) {
  Registry& registry = Registry::registry();
  std::unique_lock<std::shared_mutex> lock(registry.mutex);
  registry.kernels.emplace(name, kernel);
}

void set_compiler(Compiler* compiler) {
  Registry::registry().compiler.store(compiler);
}

Kernel* find_or_compile(const std::string& name, const std::string& source,
                        std::string* error) {
  if (Kernel* kernel = find(name)) return kernel;
  Compiler* const compiler = Registry::registry().compiler.load();
  if (compiler == nullptr) {
    *error = "no compiler is set in this process";
    return nullptr;
  }
  char text[1024] = "";
  void* const address =
      compiler(name.c_str(), source.c_str(), text, sizeof(text));
  if (address == nullptr) {
    *error = text[0] == '\0' ? "the compiler gave no reason" : text;
    return nullptr;
  }
  register_kernel(name, reinterpret_cast<Kernel*>(address));
  return find(name);
}

}  // namespace optcc
