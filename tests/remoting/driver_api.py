"""The driver through ctypes, for the programs of these tests: the calls they make, failing with the code they got."""
import ctypes

NOT_INITIALIZED, OUT_OF_MEMORY, NO_DEVICE = 3, 2, 100
MIB = 1 << 20


class CudaError(Exception):
    def __init__(self, function, code):
        super().__init__(f"{function} answers {code}")
        self.code = code


class Driver:
    def __init__(self):
        self.library = ctypes.CDLL("libcuda.so.1")

    def __getattr__(self, name):
        function = getattr(self.library, name)

        def call(*arguments):
            if code := function(*arguments):
                raise CudaError(name, code)
        return call

    def code(self, name, *arguments):
        return getattr(self.library, name)(*arguments)

    def start(self):
        """cuInit, and the primary context current."""
        context = ctypes.c_void_p()
        self.cuInit(0)
        self.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0)
        self.cuCtxSetCurrent(context)
        return self

    def allocate(self, bytes_):
        address = ctypes.c_uint64()
        self.cuMemAlloc_v2(ctypes.byref(address), ctypes.c_size_t(bytes_))
        return address

    def free(self, address):
        self.cuMemFree_v2(address)

    def memory(self):
        """(free, total)"""
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
        return free.value, total.value

    def check(self):
        """Memory there and back."""
        address = self.allocate(4096)
        back = ctypes.create_string_buffer(4096)
        data = bytes(range(256)) * 16
        self.cuMemcpyHtoD_v2(address, data, ctypes.c_size_t(4096))
        self.cuMemcpyDtoH_v2(back, address, ctypes.c_size_t(4096))
        self.free(address)
        assert back.raw == data
