#include "remoting/client/globals.h"

#include <gtest/gtest.h>

namespace mignificient::client {
namespace {

TEST(GlobalVariablesTest, AVariableIsFoundByEveryAddressInIt) {
  GlobalVariables globals;
  globals.Insert(7, {0x1000, 16});
  EXPECT_EQ(globals.Find(0x1000), (Extent{0x1000, 16}));
  EXPECT_EQ(globals.Find(0x100f), (Extent{0x1000, 16}));
  EXPECT_FALSE(globals.Find(0x1010));
  EXPECT_FALSE(globals.Find(0xfff));
}

TEST(GlobalVariablesTest, VariablesGoWithTheirModule) {
  GlobalVariables globals;
  globals.Insert(7, {0x1000, 16});
  globals.Insert(8, {0x2000, 16});
  globals.ForgetOf(7);
  EXPECT_FALSE(globals.Find(0x1000));
  EXPECT_TRUE(globals.Find(0x2000));
}

TEST(GlobalVariablesTest, WhatHasNoBytesIsNoVariable) {
  GlobalVariables globals;
  globals.Insert(7, {0x1000, 0});
  globals.Insert(7, {0, 16});
  EXPECT_FALSE(globals.Find(0x1000));
  EXPECT_FALSE(globals.Find(0));
}

}  // namespace
}  // namespace mignificient::client
